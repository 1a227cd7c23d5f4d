"""Health probe of the API's container: ``python -I -S /app/app/probe.py [port]``.

Exits with 0 if GET /health answers 200, else with 1 and one line on stdout, which `docker inspect`
shows. It runs every few seconds: it imports little, so that it takes about 20 ms.
"""

import socket
import sys

TIMEOUT_SECONDS = 2.0
REQUEST = b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n"


def status_line(port: int) -> str:
    """Return the status line of GET /health on the loopback; raise OSError if no server answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(REQUEST)
        response = b""
        while b"\r\n" not in response and len(response) < 4096:
            if not (part := connection.recv(4096)):
                break
            response += part
    return response.split(b"\r\n")[0].decode("latin-1")


def main() -> int:
    """Probe, and return the exit status."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    try:
        line = status_line(port)
    except OSError as error:
        print(f"GET /health on port {port}: {error or type(error).__name__}")
        return 1
    if line.split(" ")[1:2] != ["200"]:
        print(f"GET /health on port {port}: {line or 'connection closed without a response'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
