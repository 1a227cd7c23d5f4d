"""An idle container of any image, for the write probe.

The container does not start the image's own program, and needs no shell. It runs a tiny program
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
ADDRESS = 0x400000  # where the kernel loads the file
ELF_HEADER_BYTES = 64
PROGRAM_HEADER_BYTES = 56
HEADER_BYTES = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES
# By architecture: the ELF machine, and 32 bytes of code for nanosleep(time, NULL) and exit(0).
# The time follows the code, so its address relative to the code is fixed. Numbers: syscall(2).
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


def idle_program(architecture: str, seconds: int = IDLE_SECONDS) -> bytes | None:
    """Return an ELF program (elf(5)) that sleeps and ends; None for an unknown architecture."""
    if architecture not in CODE:
        return None
    machine, code = CODE[architecture]
    time = struct.pack("<qq", seconds, 0)  # timespec: seconds, nanoseconds
    size = HEADER_BYTES + len(code) + len(time)
    elf_header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF" + bytes([2, 1, 1]),  # 64 bits, little-endian, version 1; zeros follow
        2,  # type: executable file
        machine,
        1,  # version
        ADDRESS + HEADER_BYTES,  # entry point
        ELF_HEADER_BYTES,  # offset of the program header
        0,  # offset of the section headers: there are none
        0,  # flags
        ELF_HEADER_BYTES,
        PROGRAM_HEADER_BYTES,
        1,  # number of program headers
        *(0, 0, 0),  # section headers: size, number, index of their names
    )
    program_header = struct.pack(
        "<IIQQQQQQ",
        1,  # type: loaded segment
        5,  # flags: readable and executable
        0,  # offset in the file: the segment is the whole file
        ADDRESS,
        ADDRESS,
        size,
        size,
        0x10000,  # alignment
    )
    return elf_header + program_header + code + time


@contextlib.contextmanager
def idle_container(engine: Engine, image: str, architecture: str, user: str) -> Iterator[str]:
    """Run an idle container of an image until the block ends, and yield its name.

    It runs as `user`, with a writable root, without network, capabilities or health check.

    Raises:
        ImageproofError: The architecture is unknown, or the engine cannot run the container.
    """
    action = f"starting an idle container of {image[:19]}"
    binary = idle_program(architecture)
    if binary is None:
        supported = ", ".join(CODE)
        raise MachineError(
            action,
            f"the architecture {architecture!r} is not supported ({supported})",
            hint="use an engine of a supported architecture: `docker context use NAME`",
        )
    name = f"imageproof-idle-{secrets.token_hex(4)}"
    options = {key: value for key, value in CONFINED.items() if key != "read_only"}
    try:
        with tempfile.TemporaryDirectory(prefix="imageproof-idle-") as folder, translating(action):
            file = Path(folder, name)
            file.write_bytes(binary)
            file.chmod(0o755)  # `docker cp` copies the mode
            engine.whales.container.create(
                image, entrypoint=f"/{name}", name=name, user=user, healthcheck=False, **options
            )
            engine.whales.container.copy(file, (name, f"/{name}"))
            engine.whales.container.start(name)
        yield name
    finally:
        with contextlib.suppress(ImageproofError), translating(f"removing {name}"):
            engine.whales.container.remove(name, force=True, volumes=True)
