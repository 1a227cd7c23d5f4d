"""Writes dist/diff.cache: what V8 makes of the diff program, on the Node and with the flags that a
review has (src/start.cjs).

Runs inside a build stage that is the root that ships:

    python -m worker.diff.precompile [FOLDER]
"""

import sys
from pathlib import Path

from worker import node

# Of the hashes that order what is written: two builds write the same bytes. V8 leaves this flag out
# where it compares flags, and a review has a seed of its own.
_SEED = "--random-seed=1"


def main(folder: Path) -> None:
    """Write it, then see that V8 takes it in a process as reviews have it."""
    (folder / "dist" / "diff.cache").unlink(missing_ok=True)
    for more in ((_SEED,), ()):
        ended = node.run(folder / "precompile.cjs", b"", timeout=60, max_output=0, more=more)
        if ended.status != 0:
            sys.exit(f"precompile: node ended with {ended.status}: {ended.errors}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
