"""Make the application ready where it lies, then try it, in the very root that ships.

Runs inside a build stage that is that root, as root, on the Python that ships:

    code.py --user 10001:10001 /app python -m app --check

Compiles every module below the folder, gives all of it one date and one mode (closure.py), and
becomes the smoke test, as the user that the image has. One step, since each takes a container.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from closure import compile_python, settle  # type: ignore[import-not-found]  # it lies beside


def main() -> None:
    """Read the command line, compile, become the smoke test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--user", required=True, help="uid:gid that tries it")
    parser.add_argument("folder", type=Path, help="where the application lies")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the smoke test")
    options = parser.parse_args()
    # checked-hash: a source file that was replaced is compiled anew, not ignored.
    compile_python(Path("/"), [options.folder], "checked-hash")
    settle(options.folder)
    uid, gid = map(int, options.user.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.execvp(options.command[0], options.command)  # noqa: S606 - there is no shell here


if __name__ == "__main__":
    main()
