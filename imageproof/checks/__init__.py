"""Checks: pure functions from a contract and facts to findings.

One file or folder for each check prefix: `config.labels` is in config.py, `run.limits` in
run/limits.py. Importing this package imports every module in it, which registers the checks.
"""

import importlib
import pkgutil

from imageproof.checks.check import REGISTRY, Check, Finding, choose_checks, require_check

for _module in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

__all__ = ["REGISTRY", "Check", "Finding", "choose_checks", "require_check"]
