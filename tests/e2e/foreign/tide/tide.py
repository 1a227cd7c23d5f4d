"""Serve the height of the tide at /; --check prints it once, --probe is the health check."""

import math
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080


def height() -> str:
    """Return the height, a function of the time."""
    return f"{200 + 180 * math.sin(time.time() / 7116):.0f} cm"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        station = os.environ.get("TIDE_STATION", "")
        body = "ok" if self.path == "/health" else f"{station}: {height()}\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing: the health check sends a request each second."""


def probe() -> None:
    with socket.create_connection(("127.0.0.1", PORT), timeout=2) as connection:
        connection.settimeout(2)
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        response = b""
        while part := connection.recv(1000):
            response += part
    assert b" 200 " in response


def serve() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.stdout.write(f"{height()}\n")
    elif "--probe" in sys.argv:
        probe()
    else:
        serve()
