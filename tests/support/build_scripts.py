"""The scripts that run inside build stages, loaded as modules: they are no package."""

from __future__ import annotations

import importlib.util

from tests.support.sample_facts import ROOT

BASE = ROOT / "ops/dockerfiles/base"
SCRIPT = BASE / "closure.py"
EPOCH = 315532800  # the one date of every file


def _module():
    spec = importlib.util.spec_from_file_location("ops_test_closure", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


closure = _module()
