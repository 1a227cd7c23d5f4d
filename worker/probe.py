"""Health probe of the worker's container: ``python -I -S /app/worker/probe.py [heartbeat file]``.

Exits with 0 if the heartbeat is in time, else with 1 and one line on stdout, which
`docker inspect` shows. The file contains two times of the monotonic clock, in seconds: the last
beat and the deadline of the next, so the probe needs no configuration. It imports few modules,
because it runs every few seconds.
"""

import os
import sys
import time

DEFAULT_PATH = os.path.join(os.environ.get("TMPDIR") or "/tmp", "heartbeat")  # noqa: PTH118, S108


def problem(path: str, now: float) -> str | None:
    """Return the problem with the heartbeat at `now` (monotonic seconds), or None."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
            beat, deadline = (float(word) for word in file.read(200).split())
    except FileNotFoundError:
        return "no heartbeat yet"
    except (OSError, ValueError) as error:
        return f"the heartbeat cannot be read: {type(error).__name__}"
    if beat > now:  # the monotonic clock restarts with the machine
        return "the heartbeat is from before the machine started"
    if not now <= deadline:  # not `now > deadline`, which is false for NaN
        bound = deadline - beat
        return f"heartbeat is {now - beat:.0f} s old, bound {bound:.0f} s: the loop has stalled"
    return None


def main() -> int:
    """Run the probe and return the exit status."""
    message = problem(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_PATH, time.monotonic())
    if message:
        print(message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
