"""Compile the application, then run its smoke test.

Runs as root in a build stage with the image's root, on the image's Python:

    code.py --user 10001:10001 /app python -m app --check

Compiles every module below the folder, sets one date and fixed modes (closure.py), then executes
the smoke test as the image's user. All in one build step, because each step starts a container.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from closure import compile_python, normalize  # type: ignore[import-not-found]  # same folder


def main() -> None:
    """Parse the command line, compile, and execute the smoke test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--user", required=True, help="uid:gid of the smoke test")
    parser.add_argument("folder", type=Path, help="folder of the application")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the smoke test")
    options = parser.parse_args()
    # checked-hash: Python recompiles a source file that was replaced.
    compile_python(Path("/"), [options.folder], "checked-hash")
    normalize(options.folder)
    uid, gid = map(int, options.user.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.execvp(options.command[0], options.command)  # noqa: S606 - there is no shell here


if __name__ == "__main__":
    main()
