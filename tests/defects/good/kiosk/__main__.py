"""python -m kiosk web | job | check."""

import sys

from kiosk import check, job, web

{"web": web.run, "job": job.run, "check": check.run}[sys.argv[1]]()
