"""Tests of the lock files: versions and hashes, no registry address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from imageproof.contract import load
from imageproof.errors import MachineError
from ops import locks
from ops.locks import DEV, FOLDER, _uv_command, image_groups, lock, separate_groups
from tests.support.sample_facts import ROOT, contract, service_contract

IMAGES = image_groups(load(ROOT))
SEPARATE = separate_groups(load(ROOT))
GROUPS = (DEV, *IMAGES, *SEPARATE)


def test_this_repository_locks_its_groups():
    assert GROUPS == ("dev", "api", "worker", "peers")


def test_contract_names_the_groups_of_images_and_the_folder_the_others(tmp_path):
    (tmp_path / FOLDER).mkdir()
    for name in ("dev", "web", "docs"):
        (tmp_path / FOLDER / f"{name}.txt").touch()
    images = {
        "a": service_contract(lock="locks/web.txt"),
        "b": service_contract(lock="locks/web.txt"),
        "c": service_contract(),
    }
    project = contract(root=tmp_path, images=images)
    assert image_groups(project) == ("web",)
    assert separate_groups(project) == ("docs",)


@pytest.mark.parametrize("group", GROUPS)
def test_locks_are_compiled_with_hashes_and_without_addresses(group):
    command = _uv_command(group, f"{FOLDER}/{group}.txt", of_image=group in IMAGES)
    assert "--generate-hashes" in command
    assert "--no-emit-index-url" in command
    assert command[command.index("--group") + 1] == group
    assert command[command.index("--output-file") + 1] == f"locks/{group}.txt"
    assert ("--upgrade" in command) is (group not in IMAGES)


@pytest.mark.parametrize("group", IMAGES)
def test_image_locks_are_constrained_by_the_dev_lock(group):
    command = _uv_command(group, "x", of_image=True)
    assert command[command.index("--constraint") + 1] == "locks/dev.txt"
    assert command[command.index("--python-platform") + 1] == "linux"


@pytest.mark.parametrize("group", SEPARATE)
def test_separate_tools_are_locked_without_constraint(group):
    assert "--constraint" not in _uv_command(group, "x", of_image=False)


def _requirements(group: str) -> dict[str, list[str]]:
    """Return the hashes of each requirement of a lock file."""
    hashes: dict[str, list[str]] = {}
    name = ""
    for line in (ROOT / FOLDER / f"{group}.txt").read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9][\w.\[\],-]*)==([\w.+!-]+)(?: ; .*?)? \\$", line):
            name = f"{match[1]}=={match[2]}"
            hashes[name] = []
        elif match := re.match(r"    --hash=(sha256:[0-9a-f]{64})(?: \\)?$", line):
            hashes[name].append(match[1])
        else:
            assert re.match(r"\s+#", line), line
    return hashes


def test_every_group_has_a_lock_and_every_lock_a_group():
    assert {path.stem for path in (ROOT / FOLDER).glob("*.txt")} == set(GROUPS)
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert set(GROUPS) <= groups.keys()


@pytest.mark.parametrize("group", GROUPS)
def test_locks_contain_no_address(group):
    text = (ROOT / FOLDER / f"{group}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"--(?:extra-)?index-url|--find-links|--trusted-host", text)


@pytest.mark.parametrize("group", GROUPS)
def test_every_requirement_has_a_version_and_hashes(group):
    requirements = _requirements(group)
    assert requirements
    assert [name for name, hashes in requirements.items() if not hashes] == []


@pytest.mark.parametrize("group", IMAGES)
def test_images_have_the_versions_that_the_tests_run_with(group):
    assert set(_requirements(group)) <= set(_requirements(DEV))


@pytest.fixture
def uv(monkeypatch):
    """Record uv's command lines instead of running it; it ends with `uv.returncode`."""
    fake = SimpleNamespace(commands=[], returncode=0, stderr="no registry answers\n")

    def run(command: list[str], *, cwd: Path, **_: object) -> SimpleNamespace:
        fake.commands.append(command)
        return fake

    monkeypatch.setattr(locks.subprocess, "run", run)
    return fake


def test_every_group_is_locked_in_order(uv):
    lock(load(ROOT))
    assert [command[command.index("--group") + 1] for command in uv.commands] == list(GROUPS)


def test_failed_resolver_is_reported_with_its_output(uv):
    uv.returncode = 2
    with pytest.raises(MachineError, match="locking locks/dev") as caught:
        lock(load(ROOT))
    assert caught.value.tail == ("no registry answers",)
