"""What a build leaves in an image that nothing needs when it runs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts, Layer

# Caches of package managers and of the tools of a build. A program's own cache (models, fonts,
# browsers) may be what it needs, and debconf's is dpkg's data.
_CACHES = re.compile(
    r"^(?P<root>var/lib/apt/lists|var/cache/(?:apt|apk|dnf|yum|zypp|pacman)|etc/apk/cache"
    r"|(?:.*/)?\.cache/(?:pip|uv|pypoetry|pdm|pipenv|yarn|node-gyp|go-build|composer|bazel)"
    r"|(?:.*/)?(?:\.npm/_[\w-]+|\.yarn/berry/cache|\.pnpm-store|\.local/share/pnpm/store)"
    r"|(?:.*/)?(?:\.cargo/registry|go/pkg/mod/cache|\.m2/repository|\.gradle/caches"
    r"|\.composer/cache|\.nuget/packages|\.bundle/cache|usr/local/bundle/cache)"
    r"|(?:.*/)?(?:node_modules/\.cache|\.mypy_cache|\.pytest_cache|\.ruff_cache))/."
)
# Empty, or a line: apt makes the lock anew, pip notes when it last asked for its own version.
_NOTHING = re.compile(r"/(?:lock|partial|selfcheck/[^/]+)$")
_COMPILED = re.compile(
    r"^(?P<folder>.*/)?__pycache__/(?P<module>[^/]+?)\.[\w-]+(?:\.opt-\d)?\.pyc$"
)
_VCS = re.compile(r"^(?P<root>(?:.*/)?(?:\.git|\.hg|\.svn|\.bzr|_darcs))(?:/|$)")


def _roots(
    facts: ImageFacts, root_of: Callable[[str, File], str | None]
) -> Iterator[tuple[str, int, Layer]]:
    """Folders or files by what `root_of` says of a path, with their bytes, the largest first."""
    sizes: dict[str, int] = defaultdict(int)
    layers: dict[str, Layer] = {}
    for path, (file, layer) in facts.files.items():
        if file.kind != "folder" and (root := root_of(path, file)):
            sizes[root] += file.size
            layers[root] = layer
    for root in sorted(sizes, key=lambda root: (-sizes[root], root)):
        yield root, sizes[root], layers[root]


def _finding(what: str, root: str, size: int, layer: Layer) -> Finding:
    return Finding(
        f"/{root}: {what}, {size / 1000:,.1f} kB",
        file=f"/{root}",
        layer=layer.diff_id,
        instruction=layer.instruction,
        measured=size,
    )


@check(
    "content.caches",
    "image",
    title="No cache of a package manager is in the image",
    why="Downloads are kept to make the next install quicker, and there is none.",
    remedy="Clean up in the step that installs (`rm -rf /var/lib/apt/lists/*`, `--no-cache-dir`), or "
    "mount a cache there: `RUN --mount=type=cache,target=/root/.cache`.",
    reference="https://docs.docker.com/build/building/best-practices/#apt-get",
)
def caches(terms: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each cache folder with something in it, and for bytecode whose module is gone."""

    def root(path: str, file: File) -> str | None:
        match = _CACHES.match(path)
        return match["root"] if match and file.size and not _NOTHING.search(path) else None

    def orphan(path: str, file: File) -> str | None:
        match = _COMPILED.match(path)
        gone = match and f"{match['folder'] or ''}{match['module']}.py" not in facts.files
        return path.rpartition("/")[0] if gone and file.size else None

    for found in _roots(facts, root):
        yield _finding("a cache", *found)
    if terms.bytecode != "none":  # there content.bytecode tells all of it
        for found in _roots(facts, orphan):
            yield _finding("bytecode of modules that are not there", *found)


@check(
    "content.vcs",
    "image",
    title="No version control is in the image",
    why="A .git folder holds every version of everything, what was deleted for good reason too.",
    remedy="Name it in .dockerignore, or COPY the folders that are needed by name.",
    reference="https://docs.docker.com/build/concepts/context/#dockerignore-files; CWE-527",
)
def vcs(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each folder of git, Mercurial, Subversion, Bazaar or Darcs, and for the file that
    stands for one (git-worktree(1)); files such as .gitignore tell nothing of the past."""

    def root(path: str, _: File) -> str | None:
        match = _VCS.match(path)
        return match["root"] if match else None

    for found in _roots(facts, root):
        yield _finding("version control", *found)
