"""An idle container of any image, for the write probe.

The container does not start the image's own program, and needs no shell: it runs a tiny program
that is copied into it, sleeps for a minute and ends. So the container ends even if it is never
removed.
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

IDLE_SECONDS = 60
ADDRESS = 0x400000
HEADER_BYTES = 64 + 56  # an ELF header and its one program header, elf(5)
# By architecture: the ELF machine, and 32 bytes of code for nanosleep(time, NULL) and exit(0).
# The time follows the code. System call numbers: syscall(2).
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


def program(architecture: str, seconds: int = IDLE_SECONDS) -> bytes | None:
    """Return an ELF program that sleeps and ends; None for an unknown architecture."""
    if architecture not in CODE:
        return None
    machine, code = CODE[architecture]
    content = code + struct.pack("<qq", seconds, 0)
    size = HEADER_BYTES + len(content)
    start = ADDRESS + HEADER_BYTES
    ident = b"\x7fELF" + bytes([2, 1, 1])  # 64 bits, little-endian
    elf = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 2, machine, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, ADDRESS, ADDRESS, size, size, 0x10000)
    return elf + segment + content


@contextlib.contextmanager
def idle_container(engine: Engine, image: str, architecture: str, user: str) -> Iterator[str]:
    """Run an idle container of an image until the block ends, and yield its name.

    It runs as `user`, with a writable root, without network, capabilities or health check.

    Raises:
        ImageproofError: The architecture is unknown, or the engine cannot run the container.
    """
    action = f"starting an idle container of {image[:19]}"
    binary = program(architecture)
    if binary is None:
        known = ", ".join(CODE)
        raise MachineError(action, f"the architecture {architecture!r} is not supported ({known})")
    name = f"imageproof-idle-{secrets.token_hex(4)}"
    options = {key: value for key, value in CONFINED.items() if key != "read_only"}
    try:
        with tempfile.TemporaryDirectory(prefix="imageproof-idle-") as folder, translating(action):
            file = Path(folder, name)
            file.write_bytes(binary)
            file.chmod(0o755)  # docker cp keeps the mode; the owner becomes root
            engine.whales.container.create(
                image, entrypoint=f"/{name}", name=name, user=user, healthcheck=False, **options
            )
            engine.whales.container.copy(file, (name, f"/{name}"))
            engine.whales.container.start(name)
        yield name
    finally:
        with contextlib.suppress(ImageproofError), translating(f"removing {name}"):
            engine.whales.container.remove(name, force=True, volumes=True)
