"""Differential fuzz of the API's framing, over real sockets.

A reader of its own, written from the grammar of RFC 9112 alone, counts the valid requests of a
stream. The API must serve these, refuse at most one other, and then close the connection. It must
never hang, and never answer 500.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.api_process import ApiProcess, running

EXAMPLES = 400
REFUSALS = {400, 408, 413, 431, 501, 505}
SECOND = b"GET /second HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"
TOKEN_CHARACTERS = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
REQUEST_LINE = re.compile(
    rb"(?!CONNECT )" + TOKEN_CHARACTERS + rb" (/[!-~]*|(?i:https?)://[^/? ][!-~]*) HTTP/1\.([0-9])"
)
FIELD = re.compile(rb"(" + TOKEN_CHARACTERS + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
HOST = re.compile(rb"[-a-zA-Z0-9._~%!$&'()*+,;=:\[\]]*")
CHUNK = re.compile(rb"([0-9a-fA-F]{1,20})(?:;[^\r\n]*)?[ \t]*\r\n")


@pytest.fixture(scope="module")
def api() -> Iterator[ApiProcess]:
    with running("app.guard.FAILURES_BURST = 1e9") as process:
        yield process


def _read_request(stream: bytes) -> tuple[bytes, bool] | None:
    """Return the bytes after a valid request and whether it is the last, or None."""
    header, blank, rest = stream.partition(b"\r\n\r\n")
    first, *lines = header.split(b"\r\n")
    line = REQUEST_LINE.fullmatch(first)
    fields = [FIELD.fullmatch(text) for text in lines]
    if not blank or line is None or not all(fields):
        return None
    values: dict[bytes, list[bytes]] = {}
    for field in filter(None, fields):
        values.setdefault(field[1].lower(), []).append(field[2].strip(b" \t"))
    lengths, codings = values.get(b"content-length", []), values.get(b"transfer-encoding", [])
    hosts, is_version_1_0 = values.get(b"host", []), line[2] == b"0"
    if len(hosts) > 1 or (not hosts and not is_version_1_0) or len(lengths + codings) > 1:
        return None
    if hosts and not HOST.fullmatch(hosts[0]):
        return None
    is_last = is_version_1_0 or b"connection" in values
    if codings:
        after = _after_chunks(rest) if codings[0].lower() == b"chunked" else None
        return None if after is None or is_version_1_0 else (after, is_last)
    length = lengths[0] if lengths else b"0"
    if not re.fullmatch(rb"[0-9]{1,4}", length) or len(rest) < int(length):
        return None
    return rest[int(length) :], is_last


def _after_chunks(body: bytes) -> bytes | None:
    while chunk := CHUNK.match(body):
        size = int(chunk[1], 16)
        body = body[chunk.end() :]
        if size == 0:
            return body[2:] if body.startswith(b"\r\n") else None
        if body[size : size + 2] != b"\r\n":
            return None
        body = body[size + 2 :]
    return None


def _valid_requests(stream: bytes) -> int:
    """Return the number of valid requests before the first doubtful one or the last."""
    count = 0
    while request := _read_request(stream):
        count += 1
        stream, is_last = request
        if is_last:
            break
    return count


_methods = st.sampled_from([b"GET", b"POST", b"HEAD", b"DELETE", b"OPTIONS", b"CONNECT", b"G T"])
_targets = st.sampled_from(
    [b"/health", b"/v1/reviews", b"/v1%2freviews", b"/%00", b"//x", b"*", b"http://h.test/health",
     b"http://", b"/health?a=b#c", b"/\xff", b"x:1", b""]
)  # fmt: skip
_versions = st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.", b"http/1.1"])
_ends = st.sampled_from([b"\r\n"] * 20 + [b"\n", b"\r", b"\r\r\n", b"\r\n\t", b"\x0b\r\n"])
_fields = st.sampled_from(
    [b"Host: api.test", b"Host: other", b"Content-Length: 0", b"Content-Length: 5",
     b"content-length:5", b"Content-Length: 5, 5", b"Content-Length: +5", b"Content-Length: 5 5",
     b"Content-Length : 5", b"Content-Length: 0x5", b"Content-Length: 99999999999999999999",
     b"Transfer-Encoding: chunked", b"Transfer-Encoding:\tChunked", b"Transfer-Encoding: xchunked",
     b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding : chunked", b"A: \x01",
     b"A: \x00", b"A: \xff", b": a", b"A", b"A:", b"Expect: 100-continue",
     b"Authorization: Bearer no",
     b"Transfer_Encoding: chunked", b"X" * 300 + b": y"]
)  # fmt: skip
_bodies = st.sampled_from(
    [b"", b"12345", b"1234", b"5\r\n12345\r\n0\r\n\r\n", b"0\r\n\r\n",
     b"5;a=b\r\n12345\r\n0\r\n\r\n",
     b"5\r\n12345\r\n", b"5\n12345\n0\n\n", b"-1\r\n", b"zz\r\n\r\n", b"05\r\n12345\r\n0\r\n\r\n",
     b"5\r\n123456\r\n0\r\n\r\n", b"\r\n", b"fffffffffffffffff\r\n"]
)  # fmt: skip


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    line = b" ".join([draw(_methods), draw(_targets), draw(_versions)])
    fields = draw(st.lists(_fields, max_size=3))
    host = [b"Host: api.test"] if draw(st.integers(0, 9)) else []
    lines = b"".join(text + draw(_ends) for text in [line, *host, *fields])
    return lines + b"\r\n" + draw(_bodies)


_mutations = st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3)), max_size=2)


def _mutated(request: bytes, mutations: list[tuple[int, bytes]]) -> bytes:
    """Replace single bytes."""
    for place, replacement in mutations:
        index = place % len(request)
        request = request[:index] + replacement + request[index + 1 :]
    return request


def test_second_request_is_served_only_after_a_valid_first_one(api):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(request=_requests(), mutations=st.just([]) | _mutations, cut=st.integers(0, 400))
    def exchange(request: bytes, mutations: list[tuple[int, bytes]], cut: int) -> None:
        request = _mutated(request, mutations)
        response = api.exchange(request[:cut], request[cut:] + SECOND, finish=True)
        statuses = re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", response)
        final = [int(status) for status in statuses if status != b"100"]
        assert 500 not in final, response
        valid = _valid_requests(request + SECOND)
        assert len(final) >= valid, (request, response)
        assert all(status not in REFUSALS for status in final[:valid]), (request, response)
        # Of what follows, one request is refused, and none is served.
        assert all(status in REFUSALS for status in final[valid:]), (request, response)
        assert len(final) <= valid + 1, (request, response)

    exchange()
    assert api.process.poll() is None
