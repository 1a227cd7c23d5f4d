"""Tests of requests to the engine's API through the docker program."""

from __future__ import annotations

import json

import pytest

from imageproof.docker.client import Engine
from imageproof.errors import EngineUnavailable, StackFailed

# A docker program whose `system dial-stdio` prints its request to a file, and a canned answer.
DIAL = """#!/usr/bin/env python3
import sys
head = b""
while not head.endswith(b"\\r\\n\\r\\n"):
    head += sys.stdin.buffer.read(1)
length = head.lower().partition(b"content-length:")[2].split(b"\\r")[0]
body = sys.stdin.buffer.read(int(length or 0))
open({log!r}, "wb").write(" ".join(sys.argv[1:]).encode() + b"\\n" + head + body)
sys.stdout.write({answer!r})
"""


@pytest.fixture
def engine(tmp_path):
    """Return an engine, and the file with the request; `answer` is what it sends back."""

    def make(answer: str, **options: str) -> Engine:
        program = tmp_path / "docker"
        program.write_text(DIAL.format(log=str(tmp_path / "request"), answer=answer))
        program.chmod(0o755)
        return Engine((), program=str(program), **options)

    return make


def _answer(status: int, body: str) -> str:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nApi-version: 1.45\r\n\r\n{body}"


def test_request_reaches_the_host_with_its_body_and_headers(engine, tmp_path):
    client = engine(_answer(201, '{"ID": "s1"}'), host="ssh://manager.invalid")
    path = "/services/create"
    answer = client.request("creating", "POST", path, {"Name": "shop"}, {"X-Registry-Auth": "e30="})
    assert answer == {"ID": "s1"}
    command, *head, body = (tmp_path / "request").read_text().split("\n")
    assert command == "--host ssh://manager.invalid system dial-stdio"
    assert head[0].strip() == "POST /services/create HTTP/1.1"
    assert "X-Registry-Auth: e30=" in [line.strip() for line in head]
    assert json.loads(body) == {"Name": "shop"}


def test_refusal_is_an_error_with_the_engines_message(engine):
    with pytest.raises(StackFailed, match="port 80 is taken"):
        engine(_answer(400, '{"message": "port 80 is taken"}')).request("x", "GET", "/services")
    leaderless = _answer(500, '{"message": "rpc error: The swarm does not have a leader"}')
    with pytest.raises(EngineUnavailable):
        engine(leaderless).request("x", "GET", "/services")


@pytest.mark.parametrize(
    "answer", ["", "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", "no http"]
)
def test_missing_or_broken_answer_is_an_unavailable_engine(engine, answer):
    with pytest.raises(EngineUnavailable):
        engine(answer).request("x", "GET", "/services")


def test_program_that_cannot_connect_says_why(tmp_path):
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'dial unix /x: connection refused' >&2; exit 1\n")
    program.chmod(0o755)
    with pytest.raises(EngineUnavailable) as caught:
        Engine((), program=str(program)).request("x", "GET", "/services")
    assert "connection refused" in caught.value.tail[0]


def test_header_names_have_one_spelling(engine):
    answer = engine(_answer(200, "")).exchange("x", "GET", "/_ping")
    assert answer.headers["Api-Version"] == "1.45"
