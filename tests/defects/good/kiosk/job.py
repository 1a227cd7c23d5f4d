"""The job: a round every KIOSK_PAUSE seconds, each marked by a touch of the heartbeat."""

import os
import signal
import sys
import time
from pathlib import Path

HEARTBEAT = Path("/tmp/heartbeat")


def run() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write("the job goes its rounds\n")
    while True:
        HEARTBEAT.touch()
        time.sleep(float(os.environ["KIOSK_PAUSE"]))
