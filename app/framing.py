"""HTTP/1.1 connection that refuses a request whose end is in doubt.

h11 reads some requests more generously than a proxy in front of the API may read them: bare line
feeds, folded lines, Content-Length beside Transfer-Encoding. Where two readers disagree, one
request can hide in another. RFC 9112 lets a server refuse all of these.
"""

from __future__ import annotations

import re

import h11

from app.guard import MAX_BODY_BYTES

MAX_HEADER_BYTES = 16 * 1024
"""Maximum size of a request line with its header fields."""
Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]
# h11 refuses NUL; the other control characters are valid for it.
_STRAY_CHARACTER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_FOLDED_LINE = re.compile(rb"\r\n[ \t]")
_ABSOLUTE_FORM = re.compile(rb"https?://[^/?]+", re.IGNORECASE)
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")


class Refused(h11.RemoteProtocolError):
    """The request is refused. The text is for the client and repeats none of its bytes."""

    def __init__(self, detail: str, status: int = 400) -> None:
        """Refuse with `detail` and an HTTP status."""
        super().__init__(detail, error_status_hint=status)


class StrictConnection(h11.Connection):
    """Server side of a connection. It keeps its last error, which uvicorn does not pass on."""

    def __init__(self) -> None:
        """Begin with an idle connection."""
        super().__init__(h11.SERVER, MAX_HEADER_BYTES)
        self.method = b""
        self.error: h11.RemoteProtocolError | None = None
        self._body_bytes = 0
        self._framing = b""  # bytes between two parts of a chunked body

    def next_event(self) -> Event:
        """Return the next event.

        Raises:
            h11.RemoteProtocolError: the request is invalid, too large or ambiguous.
        """
        try:
            return self._next_event()
        except h11.RemoteProtocolError as error:
            self.error = error
            raise

    def _next_event(self) -> Event:
        unread, _ = self.trailing_data
        if self.their_state is h11.IDLE:
            self.method = b""
        event = super().next_event()
        rest, _ = self.trailing_data
        read = unread[: len(unread) - len(rest)]
        if isinstance(event, h11.Request):
            self.method, self._body_bytes, self._framing = event.method, 0, b""
            _check_header(read, event)
            return _in_origin_form(event)
        if isinstance(event, h11.Data | h11.EndOfMessage):
            # The data, if any, are the last that h11 read.
            data_bytes = len(event.data) if isinstance(event, h11.Data) else 0
            _check_lines(self._framing + read[: len(read) - data_bytes], "body's framing")
            self._framing = b""
        else:
            self._framing += read
        if isinstance(event, h11.Data):
            self._body_bytes += len(event.data)
            if self._body_bytes > MAX_BODY_BYTES:
                raise Refused(f"the request body is larger than {MAX_BODY_BYTES} bytes", 413)
        return event


def _check_header(header: bytes, request: h11.Request) -> None:
    """Raise Refused if the header is too large, or if another reader may understand it otherwise.

    Args:
        header: bytes of the request line and the header fields, with the blank line.
        request: what h11 read in them.
    """
    if len(header) > MAX_HEADER_BYTES:
        raise Refused(f"the request header is larger than {MAX_HEADER_BYTES} bytes", 431)
    _check_lines(header, "header")
    if not request.http_version.startswith(b"1."):
        raise Refused("the HTTP version must be 1.0 or 1.1", 505)
    _check_framing(header, request)
    if any(name == b"host" and not _HOST.fullmatch(value) for name, value in request.headers):
        raise Refused("the Host header is invalid")


def _check_lines(lines: bytes, part: str) -> None:
    """Raise Refused if another reader may find other lines, or other ends of them."""
    if _STRAY_CHARACTER.search(lines):
        raise Refused(f"the {part} contains a control character, or a line without CRLF at its end")
    if _FOLDED_LINE.search(lines):
        raise Refused(f"the {part} contains a folded line")


def _check_framing(header: bytes, request: h11.Request) -> None:
    """Raise Refused unless one header field, or none, says where the body ends."""
    # From the bytes, because h11 combines equal lengths.
    fields = [line.partition(b":") for line in header.split(b"\r\n")[1:]]
    lengths = [value.strip() for name, _, value in fields if name.lower() == b"content-length"]
    if len(lengths) > 1 or b"," in b"".join(lengths):
        raise Refused("there must be one Content-Length only")
    is_encoded = any(name == b"transfer-encoding" for name, _ in request.headers)
    if is_encoded and lengths:
        raise Refused("Content-Length and Transfer-Encoding exclude each other")
    if is_encoded and request.http_version == b"1.0":
        raise Refused("HTTP/1.0 has no Transfer-Encoding")
    if lengths and int(lengths[0]) > MAX_BODY_BYTES:
        raise Refused(f"the request body is larger than {MAX_BODY_BYTES} bytes", 413)


def _in_origin_form(request: h11.Request) -> h11.Request:
    """Return the request with a path as its target; raise Refused if it names none."""
    target = request.target
    if request.method == b"CONNECT":
        raise Refused("there is no CONNECT: this is no proxy", 501)
    if target.startswith(b"/"):
        return request
    authority = _ABSOLUTE_FORM.match(target)
    if authority is None:
        raise Refused("the request target must be a path")
    path = target[authority.end() :]
    return h11.Request(
        method=request.method,
        headers=request.headers,
        target=path if path.startswith(b"/") else b"/" + path,
        http_version=request.http_version,
    )
