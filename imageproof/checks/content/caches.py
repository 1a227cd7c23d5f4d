"""content.caches: no cache of a package manager is in the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.content.folders import findings_by_folder

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts

# Caches of package managers and build tools. Not in the list: a program's own cache, which it may
# need (models, fonts, browsers), and debconf's, which is data of dpkg.
_CACHES = re.compile(
    r"^(?P<folder>var/lib/apt/lists|var/cache/(?:apt|apk|dnf|yum|zypp|pacman)|etc/apk/cache"
    r"|(?:.*/)?\.cache/(?:pip|uv|pypoetry|pdm|pipenv|yarn|node-gyp|go-build|composer|bazel)"
    r"|(?:.*/)?(?:\.npm/_[\w-]+|\.yarn/berry/cache|\.pnpm-store|\.local/share/pnpm/store)"
    r"|(?:.*/)?(?:\.cargo/registry|go/pkg/mod/cache|\.m2/repository|\.gradle/caches"
    r"|\.composer/cache|\.nuget/packages|\.bundle/cache|usr/local/bundle/cache)"
    r"|(?:.*/)?(?:node_modules/\.cache|\.mypy_cache|\.pytest_cache|\.ruff_cache))/."
)
# Tiny files that the tools write again at once: apt's lock, the date of pip's last self check.
_HARMLESS = re.compile(r"/(?:lock|partial|selfcheck/[^/]+)$")
_BYTECODE = re.compile(
    r"^(?P<folder>.*/)?__pycache__/(?P<module>[^/]+?)\.[\w-]+(?:\.opt-\d)?\.pyc$"
)


@check(
    "content.caches",
    "image",
    title="No cache of a package manager is in the image",
    why="A cache makes the next install faster, but an image is never installed into.",
    remedy="Clean up in the step that installs (`rm -rf /var/lib/apt/lists/*`, `--no-cache-dir`), "
    "or mount a cache there: `RUN --mount=type=cache,target=/root/.cache`.",
    reference="https://docs.docker.com/build/building/best-practices/#apt-get",
)
def caches(contract: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each cache with files, and for bytecode without its module."""

    def cache_folder(path: str, file: File) -> str | None:
        match = _CACHES.match(path)
        return match["folder"] if match and file.size and not _HARMLESS.search(path) else None

    def orphans_folder(path: str, file: File) -> str | None:
        match = _BYTECODE.match(path)
        if match is None or not file.size:
            return None
        module = f"{match['folder'] or ''}{match['module']}.py"
        return None if module in facts.files else path.rpartition("/")[0]

    yield from findings_by_folder(facts, "a cache", cache_folder)
    if contract.bytecode != "none":  # else content.bytecode reports it
        yield from findings_by_folder(facts, "bytecode without its modules", orphans_folder)
