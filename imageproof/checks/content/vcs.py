"""content.vcs: no version control folder is in the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.content.folders import findings_by_folder

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.image.facts import File, ImageFacts

_FOLDERS = re.compile(r"^(?P<folder>(?:.*/)?(?:\.git|\.hg|\.svn|\.bzr|_darcs))(?:/|$)")


@check(
    "content.vcs",
    "image",
    title="No version control folder is in the image",
    why="A .git folder holds every version of every file, deleted secrets included.",
    remedy="Name it in .dockerignore, or COPY only the folders that the image needs.",
    reference="https://docs.docker.com/build/concepts/context/#dockerignore-files; CWE-527",
)
def vcs(_: ServiceContract, facts: ImageFacts) -> Iterator[Finding]:
    """Fail for each folder of git, Mercurial, Subversion, Bazaar or Darcs.

    A file named .git counts too: it points to the real folder (git-worktree(1)). Files such as
    .gitignore do not count: they hold no history.
    """

    def folder_of(path: str, _: File) -> str | None:
        match = _FOLDERS.match(path)
        return match["folder"] if match else None

    yield from findings_by_folder(facts, "version control", folder_of)
