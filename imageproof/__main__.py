"""Run imageproof's commands: `python -m imageproof`."""

from imageproof.cli.collection import make_collection
from imageproof.cli.program import make_program

make_program(make_collection(), "imageproof").run()
