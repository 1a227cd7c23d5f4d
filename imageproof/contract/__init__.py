"""The contract: the table `[tool.imageproof]`, which says how each image must be."""

from imageproof.contract.loading import FILE, find_root, load
from imageproof.contract.models import (
    Base,
    Contract,
    Environment,
    Health,
    Model,
    Program,
    ServiceContract,
    Smoke,
    Tool,
)

__all__ = [
    "FILE",
    "Base",
    "Contract",
    "Environment",
    "Health",
    "Model",
    "Program",
    "ServiceContract",
    "Smoke",
    "Tool",
    "find_root",
    "load",
]
