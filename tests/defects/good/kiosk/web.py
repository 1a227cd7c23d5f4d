"""The service: GET /health, GET / greets."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import greeting

from kiosk.check import menu

PORT = 8000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        said = "ok" if self.path == "/health" else greeting.greet(os.environ["KIOSK_GREETING"])
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing: the health check asks each second."""


def run() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(f"kiosk sells {', '.join(menu())}\n")
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
