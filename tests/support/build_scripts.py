"""closure.py as a module: the script runs in build stages and belongs to no package."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from tests.support.commands import ROOT

BASE = ROOT / "ops/dockerfiles/base"
CLOSURE_SCRIPT = BASE / "closure.py"
EPOCH = 315532800  # modification time of every file that the script writes


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tests_closure", CLOSURE_SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


closure = _load()
