"""`./inv bench --peers`: compare with other tools, and write docs/comparison.json and .md."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from imageproof import contract
from imageproof.build import base_image
from imageproof.docker.client import Engine
from imageproof.errors import ImageproofError
from tests.defects.corpus import ROOT
from tests.peers.compare import compare
from tests.peers.table import page
from tests.peers.tools import Kit


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.peers", description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the peers' programs")
    parser.add_argument("--goss", type=Path)
    parser.add_argument("--goss-version", default="")
    parser.add_argument("--docker-bench", type=Path)
    options = parser.parse_args()
    project = contract.load(ROOT)
    try:
        base = base_image.resolve(project, Engine((project.compose_file,)))
    except ImageproofError as error:
        sys.exit(f"{error} ({error.hint})")
    kit = Kit(options.bin, base.reference, options.goss, options.goss_version, options.docker_bench)
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as cache:
        run = compare(kit, Path(cache))
    docs = ROOT / "docs"
    (docs / "comparison.json").write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")
    (docs / "comparison.md").write_text(page(run))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
