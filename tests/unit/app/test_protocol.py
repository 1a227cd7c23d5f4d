"""Tests of app.protocol and app.framing: the API as a process, attacked over real sockets."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.framing import MAX_HEADER_BYTES
from app.guard import FAILURES_BURST, MAX_BODY_BYTES
from app.protocol import BoundedProtocol
from app.reviews import Result
from app.space import MAX_DIFF_BYTES
from app.store import Store
from tests.support.api_process import (
    TOKEN,
    ApiProcess,
    read_all,
    read_response,
    running,
    with_store,
)
from tests.support.commands import wait_until
from worker.queue import Queue

HOST = b"Host: api.test\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HOST
POST = b"POST /v1/reviews HTTP/1.1\r\n" + HOST + b"Authorization: Bearer %s\r\n" % TOKEN.encode()
HIDDEN = b"GET /hidden HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
RESULT = Result(verdict="pass", risk=0, threshold=0.75, from_version="1.0.0", to_version="2.0.0")
SHORT_LIMITS = "app.protocol.Phase.seconds = 0.5"


@pytest.fixture(scope="module")
def api() -> Iterator[ApiProcess]:
    """API whose time limits no test reaches."""
    with running() as process:
        yield process


@pytest.fixture(scope="module")
def impatient_api() -> Iterator[ApiProcess]:
    """API that waits half a second for each phase of a connection."""
    with running(SHORT_LIMITS) as process:
        yield process


def _problem_detail(response: bytes, status: int) -> str:
    """Assert that there is one response, a problem, after which the connection closed."""
    header, _, body = response.partition(b"\r\n\r\n")
    assert header.startswith(b"HTTP/1.1 %d " % status), response
    lines = header.lower().split(b"\r\n")
    assert b"content-type: application/problem+json" in lines
    assert b"connection: close" in lines
    problem = json.loads(body)  # nothing follows
    assert problem["status"] == status
    return str(problem["detail"])


# --- where a request ends


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        # two lengths
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: 2, 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}", 400),
        # no length
        (POST + b"Content-Length: +2\r\n\r\n{}", 400),
        (POST + b"Content-Length: 0x2\r\n\r\n{}", 400),
        (POST + b"Content-Length: -2\r\n\r\n{}", 400),
        (POST + b"Content-Length: \r\n\r\n{}", 400),
        (POST + b"Content-Length: \xb2\r\n\r\n{}", 400),
        (POST + b"Content-Length: %s\r\n\r\n{}" % (b"9" * 30), 400),
        # transfer codings
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (POST.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        # chunks
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA : b\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n%s\r\n" % (b"f" * 21), 400),
        *(
            (POST + b"Transfer-Encoding: chunked\r\n\r\n2" + rest, 400)
            for rest in (
                b"\r\n{}\r\n0\r\nA: b\n\n", b"\r\n{}\r\n0\r\n\n", b"\r\n{}\r\n0\r\nA: b\n\r\n",
                b"\r\n{}\r\n0\r\nA: b\r\n c\r\n\r\n", b"\r\n{}\r\n0\r\nA: \x01\r\n\r\n",
                b"\r\n{}\r\n0\r\nA: b\rC: d\r\n\r\n", b"\r\n{}\r\n0;a\x7f\r\n\r\n",
                b";a\rb\r\n{}\r\n0\r\n\r\n", b";a\x01\r\n{}\r\n0\r\n\r\n",
            )
        ),
        # lines
        (b"GET /health HTTP/1.1\nHost: api.test\n\n", 400),
        (GET + b"A: b\n\r\n", 400),
        (GET + b"A: b\rC: d\r\n\r\n", 400),
        (GET + b"A: b\r\n c\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\n A: b\r\n" + HOST + b"\r\n", 400),
        (GET + b"A : b\r\n\r\n", 400),
        (GET + b": b\r\n\r\n", 400),
        (GET + b"A\r\n\r\n", 400),
        (GET + b"A: \x00\r\n\r\n", 400),
        (GET + b"A: \x01\r\n\r\n", 400),
        (GET + b"A: \x7f\r\n\r\n", 400),
        (GET + b"\xe9: b\r\n\r\n", 400),
        # request lines
        (b"GET /health\r\n\r\n", 400),
        (b"GET  /health HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /health HTTP/1.1 \r\n" + HOST + b"\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /\xe9 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"G(T /health HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /health HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET /health HTTP/0.9\r\n" + HOST + b"\r\n", 505),
        (b"GET /health http/1.1\r\n" + HOST + b"\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"CONNECT api.test:443 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (b"GET api.test/health HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET ftp://api.test/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        # hosts
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (GET + HOST + b"\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a@b c\r\n\r\n", 400),
        # sizes
        (GET + b"A: " + b"x" * MAX_HEADER_BYTES + b"\r\n\r\n", 431),
        (GET + b"A: b\r\n" * MAX_HEADER_BYTES + b"\r\n", 431),
        (b"GET /" + b"x" * MAX_HEADER_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
        (POST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (GET + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000000, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + b"x" * 2 * MAX_BODY_BYTES, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2 * MAX_BODY_BYTES, 413),
    ],
)  # fmt: skip
def test_doubtful_request_is_refused_and_hides_no_second_one(api, request_bytes, status):
    _problem_detail(api.exchange(request_bytes + HIDDEN), status)


@pytest.mark.parametrize("part_size", [1, 7])
def test_request_in_parts_is_read_as_in_one(api, part_size):
    for request_bytes, status in (
        (LAST, b"200"),
        (GET + b"A: b\r\n c\r\n\r\n", b"400"),
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    ):
        parts = [request_bytes[i : i + part_size] for i in range(0, len(request_bytes), part_size)]
        assert api.exchange(*parts).split()[1] == status


def test_head_of_a_refused_request_has_no_body(api):
    response = api.exchange(GET.replace(b"GET", b"HEAD") + b"A: b\r\n c\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert response.endswith(b"\r\n\r\n")


def test_incomplete_body_is_no_request(api):
    """The bytes that came are a valid review."""
    body = b'{"package": "left-pad", "from": "1.2.0", "to": "1.3.0"}'
    with api.connect() as connection:
        connection.sendall(POST + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body)
        connection.shutdown(socket.SHUT_WR)
        _problem_detail(read_all(connection), 400)


def test_complete_requests_are_answered_to_a_client_that_has_closed_its_side(api):
    with api.connect() as connection:
        connection.sendall((GET + b"\r\n") * 2)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(b'{"status":"ok"}') == 2


def test_connection_is_kept_and_pipelined_requests_are_answered_in_order(api):
    requests = GET + b"\r\n" + GET.replace(b"/health", b"/nothing") + b"\r\n" + LAST
    response = api.exchange(requests)
    statuses = [part.split()[0] for part in response.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"]


@pytest.mark.parametrize("host", [b"http://evil.invalid", b"HTTPS://evil.invalid:8443"])
def test_absolute_target_is_a_path(api, host):
    assert b" 200 OK" in api.exchange(LAST.replace(b"/health", host + b"/health"))
    assert b" 404 Not Found" in api.exchange(LAST.replace(b"/health", host))
    assert b" 404 Not Found" in api.exchange(LAST.replace(b"/health", host + b"?/health"))


def test_upgrade_is_ignored(api):
    for protocol in (b"websocket", b"h2c"):
        request = GET + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
        assert api.exchange(request + LAST).count(b" 200 OK") == 2


@pytest.mark.parametrize("path", [b"/health/", b"/ready/", b"/v1/reviews/", b"//evil.invalid/x"])
def test_no_response_depends_on_the_host(api, path):
    request = LAST.replace(b"/health", path).replace(b"api.test", b"evil.invalid")
    response = api.exchange(request.replace(b"\r\n", b"\r\nX-Forwarded-Host: evil.invalid\r\n", 1))
    assert b"evil" not in response
    assert b"location" not in response.lower()
    assert response.split()[1] in (b"404", b"401")


# --- time limits


@pytest.mark.parametrize(
    ("request_bytes", "part"),
    [
        (GET, b"header"),
        (GET + b"\r\n" + GET, b"header"),
        (POST + b"Content-Length: 2\r\n\r\n{", b"body"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{", b"body"),
    ],
)
def test_unfinished_request_is_answered_with_408(impatient_api, request_bytes, part):
    response = impatient_api.exchange(request_bytes)
    last = response[response.rindex(b"HTTP/1.1 ") :]
    assert part.decode() in _problem_detail(last, 408)


@pytest.mark.parametrize(
    "beginning", [b"GET /health HTTP/1.1\r\nA: ", POST + b"Content-Length: 4000\r\n\r\n"]
)
def test_deadline_is_not_extended_by_single_bytes(impatient_api, beginning):
    with impatient_api.connect() as connection:
        connection.sendall(beginning)
        connection.settimeout(0.02)
        received, began_at = b"", time.monotonic()
        while not received and time.monotonic() < began_at + 20:
            connection.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                received = connection.recv(4096)
        connection.settimeout(20)
        _problem_detail(received + read_all(connection), 408)


@pytest.mark.parametrize("beginning", [b"", GET + b"\r\n"])
def test_idle_connection_is_closed_without_a_response(impatient_api, beginning):
    with impatient_api.connect() as connection:
        if beginning:
            connection.sendall(beginning)
            assert b"200 OK" in read_response(connection)
        assert connection.recv(1) == b""


def test_client_that_does_not_read_is_dropped(impatient_api):
    with impatient_api.connect() as connection:
        connection.settimeout(0.05)
        request = GET.replace(b"/health", b"/openapi.json") + b"\r\n"
        began_at = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < began_at + 20:
                with contextlib.suppress(TimeoutError):
                    connection.sendall(request)
        assert time.monotonic() < began_at + 20


def test_clients_that_do_not_read_a_large_diff_cost_little_memory(redis_url, client):
    store, worker = Store(client), Queue(client, "worker")
    id_ = store.submit("p", "1.0.0", "2.0.0")[0].id
    assert worker.finish(worker.claim(), RESULT, "a" * MAX_DIFF_BYTES)
    request = POST.replace(b"POST /v1/reviews", b"GET /v1/reviews/%s/diff" % id_.encode())
    with running(with_store(redis_url)) as api, contextlib.ExitStack() as stack:
        whole = api.exchange(request + b"Connection: close\r\n\r\n").partition(b"\r\n\r\n")[2]
        assert whole == b"a" * MAX_DIFF_BYTES
        before = _resident_bytes(api)
        for _ in range(40):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(20)
            connection.connect(("127.0.0.1", api.port))
            connection.sendall(request + b"\r\n")
            assert connection.recv(1) == b"H"
        assert b" 200 OK" in api.exchange(LAST)
        assert _resident_bytes(api) - before < 10 * MAX_DIFF_BYTES


def _resident_bytes(api: ApiProcess) -> int:
    pages = Path(f"/proc/{api.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


# --- the limit of connections


def test_flood_of_unfinished_requests_does_not_keep_out_others():
    limit = 64
    setup = f"app.protocol.MAX_CONNECTIONS = {limit}; app.serve.BACKLOG = 8"
    with running(setup) as api, contextlib.ExitStack() as stack:
        for _ in range(3 * limit):
            attacker = stack.enter_context(api.connect())
            with contextlib.suppress(ConnectionError):
                attacker.sendall(GET + b"A: " + b"x" * 15_000)
            assert b" 200 OK" in api.exchange(LAST)


def test_connection_above_the_limit_is_refused_if_none_waits_for_its_client():
    setup = """
app.protocol.MAX_CONNECTIONS = 1
app.protocol.RESERVED_CONNECTIONS = 0
app.protocol.Phase.seconds = 20
import logging, threading, app.store
def check(_):
    logging.getLogger().warning("in the application")
    threading.Event().wait()
app.store.Store.check = check
"""
    with running(setup) as api, api.connect() as busy:
        busy.sendall(GET.replace(b"/health", b"/ready") + b"\r\n")
        wait_until(
            lambda: api.lines[-1]["message"] == "in the application",
            20,
            lambda: f"the request was not handled: {api.lines}",
        )
        assert "too many" in _problem_detail(api.exchange(LAST), 503)


def test_connection_whose_client_began_a_request_has_not_waited_longest():
    setup = """
app.protocol.MAX_CONNECTIONS = 2
app.protocol.RESERVED_CONNECTIONS = 1
app.protocol.Phase.seconds = 60
"""
    with running(setup) as api, contextlib.ExitStack() as stack:
        reserved = stack.enter_context(api.connect())

        def wait_until_all_is_read() -> None:
            reserved.sendall(GET + b"\r\n")
            assert b" 200 OK" in read_response(reserved)

        wait_until_all_is_read()
        first = stack.enter_context(api.connect())
        wait_until_all_is_read()
        second = stack.enter_context(api.connect())
        wait_until_all_is_read()
        first.sendall(GET)
        wait_until_all_is_read()
        assert b" 200 OK" in api.exchange(LAST)
        assert read_all(second) == b""
        first.sendall(b"\r\n")
        assert b" 200 OK" in read_response(first)


def test_probe_of_this_host_has_connections_in_reserve():
    setup = """
app.protocol.MAX_CONNECTIONS = 0
app.protocol.RESERVED_CONNECTIONS = 1
"""
    with running(setup) as api:
        assert b" 200 OK" in api.exchange(LAST)


# --- wrong tokens and the log


def test_wrong_tokens_are_limited_and_the_right_one_is_not():
    wrong = GET.replace(b"/health", b"/v1/reviews") + b"Authorization: Bearer wrong\r\n\r\n"
    right = POST + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    with running() as api:
        with api.connect() as connection:
            statuses = []
            for _ in range(FAILURES_BURST + 20):
                connection.sendall(wrong)
                statuses.append(read_response(connection).split()[1])
        assert statuses[:FAILURES_BURST] == [b"401"] * FAILURES_BURST
        assert statuses[-1] == b"429"
        assert api.exchange(right).split()[1] == b"422"  # the token is accepted
        api.process.terminate()
        api.process.wait(timeout=30)
        lines = api.finished_log()
    repeated = [line for line in lines if "/v1/reviews HTTP" in line["message"]]
    statuses_in_log = [line["message"].split()[-1] for line in repeated]
    assert statuses_in_log == ["401", "429", "422"]
    (summary,) = [line for line in lines if line["message"] == "repeated lines"]
    counts = {int(kind.split()[-1]): count for kind, count in summary["left_out"].items()}
    assert counts[401] >= FAILURES_BURST - 1
    assert sum(counts.values()) == FAILURES_BURST + 20 - 2


def test_protocol_errors_do_not_fill_the_log():
    with running() as api:
        for _ in range(50):
            api.exchange(b"\x00\r\n\r\n")
            api.exchange(LAST.replace(b"/health", b"/nothing"))
            api.exchange(GET + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n")
        api.process.terminate()
        api.process.wait(timeout=30)
        lines = api.finished_log()
        assert api.errors() == ""
    assert len([line for line in lines if line["level"] == "warning"]) <= 5
    assert len(lines) < 20


def test_lines_of_one_request_have_nothing_of_an_earlier_one_on_the_connection():
    own = b"X-Request-ID: own-1\r\n\r\n"
    with_token = POST.replace(b"POST", b"GET") + own
    unknown = GET.replace(b"/health", b"/nothing") + b"\r\n"
    with running() as api, api.connect() as connection:
        connection.sendall(with_token * 2)  # pipelined
        for _ in range(2):
            assert b"own-1" in read_response(connection)
        for _ in range(50):
            connection.sendall(unknown)
            assert b" 404 " in read_response(connection)
        connection.sendall(b"\x00\r\n\r\n")
        assert b" 400 " in read_all(connection)
        api.process.terminate()
        api.process.wait(timeout=30)
        lines = api.finished_log()
    assert len([line for line in lines if "/nothing" in line["message"]]) == 1
    assert len([line for line in lines if line.get("request_id") == "own-1"]) <= 4
    refusals = [line for line in lines if line["logger"] in ("uvicorn.error", "app.protocol")]
    assert any(line.get("status") == 400 for line in refusals)
    assert not any("request_id" in line for line in refusals)


# --- what this relies on


def test_uvicorn_has_the_methods_that_the_protocol_overrides():
    """A new uvicorn without one of them would not fail, and the limits would be gone."""
    own = {"is_local", "drop"}
    public = {name for name in vars(BoundedProtocol) if not name.startswith("_")}
    assert public - own <= set(vars(H11Protocol))
