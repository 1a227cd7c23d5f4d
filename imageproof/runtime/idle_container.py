"""A container of any image that does nothing: to be looked at, and thrown away.

Its image needs no shell and nothing that waits, and its own program is not started: it is given
one that asks the kernel to sleep for a minute, and ends. So it is gone even where nobody is left
to remove it.
"""

from __future__ import annotations

import contextlib
import secrets
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.docker.confined import CONFINED
from imageproof.docker.errors import translating
from imageproof.errors import ImageproofError, MachineError

if TYPE_CHECKING:
    from imageproof.docker.client import Engine

SECONDS = 60
ADDRESS = 0x400000
HEADERS = 64 + 56  # bytes of an ELF header and of its one segment, elf(5)
# nanosleep(time, NULL), exit(0); 32 bytes, the time stands behind them. syscall(2): by machine.
CODE = {
    "amd64": (
        62,
        bytes.fromhex(
            "488d3d19000000"  # lea rdi, [rip + 25]
            "31f6"  # xor esi, esi
            "b823000000 0f05"  # mov eax, 35; syscall
            "31ff"  # xor edi, edi
            "b83c000000 0f05"  # mov eax, 60; syscall
            "90909090909090"
        ),
    ),
    "arm64": (
        183,
        bytes.fromhex(
            "00010010"  # adr x0, 32
            "010080d2"  # mov x1, 0
            "a80c80d2 010000d4"  # mov x8, 101; svc 0
            "000080d2"  # mov x0, 0
            "a80b80d2 010000d4"  # mov x8, 93; svc 0
            "1f2003d5"
        ),
    ),
}


def program(architecture: str, seconds: int = SECONDS) -> bytes | None:
    """A program that sleeps and ends, without a library; None for a machine that is not known."""
    if architecture not in CODE:
        return None
    machine, code = CODE[architecture]
    whole = code + struct.pack("<qq", seconds, 0)
    size = HEADERS + len(whole)
    start = ADDRESS + HEADERS
    ident = b"\x7fELF" + bytes([2, 1, 1])  # 64 bits, little-endian
    elf = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 2, machine, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, ADDRESS, ADDRESS, size, size, 0x10000)
    return elf + segment + whole


@contextlib.contextmanager
def idle(engine: Engine, image: str, architecture: str, user: str) -> Iterator[str]:
    """A running container of an image whose root file system takes writes, until the block ends.

    It runs as `user`, without network, capability or health check. Yields its name; raises
    ImageproofError where there can be none.
    """
    action = f"starting an idle container of {image[:19]}"
    text = program(architecture)
    if text is None:
        raise MachineError(action, f"it is for the machine {architecture!r}, which is not known")
    name = f"imageproof-idle-{secrets.token_hex(4)}"
    options = {key: value for key, value in CONFINED.items() if key != "read_only"}
    try:
        with tempfile.TemporaryDirectory(prefix="imageproof-idle-") as folder, translating(action):
            file = Path(folder, name)
            file.write_bytes(text)
            file.chmod(0o755)  # docker cp keeps it; the owner becomes root
            engine.docker.container.create(
                image, entrypoint=f"/{name}", name=name, user=user, healthcheck=False, **options
            )
            engine.docker.container.copy(file, (name, f"/{name}"))
            engine.docker.container.start(name)
        yield name
    finally:
        with contextlib.suppress(ImageproofError), translating(f"removing {name}"):
            engine.docker.container.remove(name, force=True, volumes=True)
