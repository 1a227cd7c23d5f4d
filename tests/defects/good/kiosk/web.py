"""The service: GET /health, and a greeting on every other path."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import greeting

from kiosk.check import menu

PORT = 8000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = "ok" if self.path == "/health" else greeting.greet(os.environ["KIOSK_GREETING"])
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing: the health check sends a request each second."""


def run() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(f"kiosk sells {', '.join(menu())}\n")
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
