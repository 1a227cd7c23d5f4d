"""Health check of web: it answers a request within two seconds."""

import socket

with socket.create_connection(("127.0.0.1", 8000), timeout=2) as connection:
    connection.settimeout(2)
    connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
    answer = b""
    while part := connection.recv(1000):
        answer += part
assert b" 200 " in answer
