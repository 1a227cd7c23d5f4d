"""Health probe of the worker's container: ``python -I -S /app/worker/probe.py [heartbeat file]``.

Exits 0 while the heartbeat is in time, else 1 with one line on stdout, which `docker inspect`
shows. The file holds two readings of the monotonic clock, in seconds: when the loop last beat and
when the next beat is due; so the probe needs no configuration. It imports as little as it can.
"""

import os
import sys
import time

DEFAULT_PATH = os.path.join(os.environ.get("TMPDIR") or "/tmp", "heartbeat")  # noqa: PTH118, S108


def problem(path: str, now: float) -> str | None:
    """Return what is wrong with the heartbeat at `now` (monotonic seconds), or None."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
            beat, due = (float(word) for word in file.read(200).split())
    except FileNotFoundError:
        return "no heartbeat yet"
    except (OSError, ValueError) as error:
        return f"the heartbeat cannot be read: {type(error).__name__}"
    if beat > now:  # the clock starts anew with the machine
        return "the heartbeat is from before the machine started"
    # written so that NaN, too, is a problem
    if not now <= due:
        bound = due - beat
        return f"heartbeat is {now - beat:.0f} s old, bound {bound:.0f} s: the loop has stalled"
    return None


def main() -> int:
    """Probe, and return the exit status."""
    found = problem(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_PATH, time.monotonic())
    if found:
        print(found)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
