"""The checks. Importing this package registers all of them."""

from ops.checks import base, config, content, environment, run, secret, size, user
from ops.checks.check import REGISTRY, Check, Finding, find

__all__ = [
    "REGISTRY",
    "Check",
    "Finding",
    "base",
    "config",
    "content",
    "environment",
    "find",
    "run",
    "secret",
    "size",
    "user",
]
