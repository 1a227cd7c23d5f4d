"""The job: touches its heartbeat file every KIOSK_PAUSE seconds."""

import os
import signal
import sys
import time
from pathlib import Path

HEARTBEAT = Path("/tmp/heartbeat")


def run() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write("the job is running\n")
    while True:
        HEARTBEAT.touch()
        time.sleep(float(os.environ["KIOSK_PAUSE"]))
