"""A copy of this repository with its own image and project names."""

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

COMMENT = "\n\n# changed by the benchmark: {}\n"


@dataclass(frozen=True)
class Copy:
    """A clone of the last commit, and the environment variables of every command in it."""

    root: Path
    name: str
    variables: dict[str, str]

    def run(self, *command: str) -> str:
        """Run a program in the copy; return its output and messages."""
        result = subprocess.run(
            command, cwd=self.root, capture_output=True, text=True, env=self.variables
        )
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}{result.stderr}"
        return result.stdout + result.stderr

    def inv(self, *arguments: str) -> str:
        """Run `./inv`."""
        return self.run("./inv", *arguments)

    def bake(self, *options: str) -> str:
        """Run `docker buildx bake` on the same files."""
        return self.run("docker", "buildx", "bake", "--load", *options)

    def one_by_one(self, *options: str) -> None:
        """Run `docker build` for one image after the other, as a Makefile would."""
        for service in self._model()["services"].values():
            build = service["build"]
            dockerfile = self.root / build["dockerfile"]
            self.build(dockerfile, build["target"], service["image"], *options)

    def build(self, dockerfile: Path, target: str, tag: str, *options: str) -> None:
        """Run `docker build` for one image, with the arguments and secrets of the API."""
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
        output = self.run("docker", "compose", "config", "--format", "json")
        model: dict[str, Any] = json.loads(output)
        return model

    def change(self, file: str) -> None:
        """End a file with a new comment."""
        path = self.root / file
        text = path.read_text().partition(COMMENT.partition("{")[0])[0]
        path.write_text(text + COMMENT.format(secrets.token_hex(8)))

    def compose(self, *arguments: str) -> str:
        """Run `docker compose`."""
        return self.run("docker", "compose", *arguments)


@contextlib.contextmanager
def copy_of_the_project() -> Iterator[Copy]:
    """Clone the repository; remove the clone, its stack and its images at the end."""
    name = f"upgrade-gate-bench-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as folder:
        root = Path(folder, "project")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(root)], check=True)
        (root / ".venv").symlink_to(ROOT / ".venv")
        compose = root / "compose.yaml"
        text = compose.read_text().replace("image: upgrade-gate/", f"image: {name}/")
        compose.write_text(text.replace("name: upgrade-gate\n", f"name: {name}\n"))
        copy = Copy(root, name, _variables(root))
        try:
            yield copy
        finally:
            copy.compose("down", "--volumes", "--remove-orphans")
            tags = copy.run("docker", "image", "ls", "--quiet", f"--filter=reference={name}/*")
            if tags:
                copy.run("docker", "image", "rm", "--force", *set(tags.split()))


def _variables(root: Path) -> dict[str, str]:
    """Return the variables that `./inv build` passes to bake, for plain Docker as well."""
    project = contract.load(root)
    base = base_image.resolve(project, Engine((project.compose_file,)))
    settings = build_variables(project, base)
    return clean_environment(**settings, API_PORT="0", IMAGEPROOF_ROOT=str(root))
