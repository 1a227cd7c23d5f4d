"""Run imageproof's commands: `python -m imageproof`."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of Ctrl-C while modules load

from imageproof.cli.collection import make_collection  # noqa: E402
from imageproof.cli.program import make_program  # noqa: E402

make_program(make_collection(), "imageproof").run()
