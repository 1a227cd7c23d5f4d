"""A copy of this repository with names of its own: nothing of the real stack is touched."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageproof import contract
from imageproof.build import base_image
from imageproof.build.variables import build_variables
from imageproof.docker.client import Engine
from tests.support.commands import ROOT, clean_environment

LINE = "\n\n# changed by the benchmark: {}\n"


@dataclass(frozen=True)
class Copy:
    """The project as the last commit has it, and the environment in which all tools run."""

    root: Path
    name: str
    variables: dict[str, str]

    def run(self, *command: str) -> str:
        """Run a program in it; returns what it wrote."""
        result = subprocess.run(
            command, cwd=self.root, capture_output=True, text=True, env=self.variables
        )
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}{result.stderr}"
        return result.stdout + result.stderr

    def inv(self, *arguments: str) -> str:
        """This project's own command."""
        return self.run("./inv", *arguments)

    def bake(self, *options: str) -> str:
        """Plain `docker buildx bake` on the same files."""
        return self.run("docker", "buildx", "bake", "--load", *options)

    def one_by_one(self, *options: str) -> None:
        """A Makefile's way: one `docker build` after the other, by the model that Compose reads."""
        for service in self._model()["services"].values():
            build = service["build"]
            dockerfile = self.root / build["dockerfile"]
            self.build(dockerfile, build["target"], service["image"], *options)

    def build(self, dockerfile: Path, target: str, tag: str, *options: str) -> None:
        """Plain `docker build` of one image, told what Compose tells of the API's."""
        model = self._model()
        args = model["services"]["api"]["build"]["args"]
        self.run(
            "docker", "build", *options,
            f"--target={target}", f"--file={dockerfile}", f"--tag={tag}",
            *(f"--build-arg={name}={value}" for name, value in args.items()),
            *(f"--secret=id={name},src={s['file']}" for name, s in model["secrets"].items()),
            str(self.root),
        )  # fmt: skip

    def _model(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.run("docker", "compose", "config", "--format", "json")
        )
        return found

    def change(self, file: str) -> None:
        """Another last line, a comment, each time."""
        path = self.root / file
        kept = [
            line for line in path.read_text().splitlines(True) if not line.startswith(LINE[:12])
        ]
        path.write_text("".join(kept) + LINE.format(secrets.token_hex(8)))

    def compose(self, *arguments: str) -> str:
        """Plain `docker compose`."""
        return self.run("docker", "compose", *arguments)


@contextlib.contextmanager
def copied() -> Iterator[Copy]:
    """Clone the repository; what is made of the copy is removed at the end."""
    name = f"upgrade-gate-bench-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as folder:
        root = Path(folder, "project")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(root)], check=True)
        (root / ".venv").symlink_to(ROOT / ".venv")
        compose = root / "compose.yaml"
        text = compose.read_text().replace("image: upgrade-gate/", f"image: {name}/")
        compose.write_text(text.replace("name: upgrade-gate\n", f"name: {name}\n"))
        made = Copy(root, name, _variables(root))
        try:
            yield made
        finally:
            made.compose("down", "--volumes", "--remove-orphans")
            tags = made.run("docker", "image", "ls", "--quiet", f"--filter=reference={name}/*")
            if tags:
                made.run("docker", "image", "rm", "--force", *set(tags.split()))


def _variables(root: Path) -> dict[str, str]:
    """The same settings for all: what `./inv build` tells bake, told to plain bake as well."""
    terms = contract.load(root)
    origin = base_image.resolve(terms, Engine((terms.compose_file,)))
    settings = build_variables(terms, origin)
    return clean_environment(**settings, API_PORT="0", IMAGEPROOF_ROOT=str(root))
