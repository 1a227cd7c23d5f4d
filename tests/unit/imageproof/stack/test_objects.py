"""Tests of what belongs to a stack: its owner, its anonymous volumes, its replaced images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imageproof.docker.replaced_images import replaced_images
from imageproof.errors import UsageError
from imageproof.stack.objects import StackObjects, anonymous_volumes
from imageproof.stack.ownership import foreign_folders, require_own_stack
from tests.support.sample_facts import contract

ANONYMOUS, DECLARED = "a" * 64, "b" * 64


def test_volume_without_a_name_is_anonymous_unless_the_compose_file_declares_it():
    mounts = [
        {"Type": "volume", "Name": ANONYMOUS},
        {"Type": "volume", "Name": DECLARED},  # an old anonymous volume that a user reuses
        {"Type": "volume", "Name": "shop_data"},
        {"Type": "bind", "Source": "/srv"},
    ]
    volumes = {"old": {"name": DECLARED, "external": True}, "data": {"name": "shop_data"}}
    engine: Any = SimpleNamespace(compose_model=lambda *, interpolate: {"volumes": volumes})
    assert anonymous_volumes(engine, [{"Mounts": mounts}, {"Mounts": None}]) == (ANONYMOUS,)


def test_objects_are_counted_by_kind():
    objects = StackObjects({"1": "a", "2": "b"}, ("n",), (), ("v",), ("i",))
    assert str(objects) == "2 containers, 1 network, 1 anonymous volume"
    assert str(StackObjects()) == "nothing"


def _engine(folder: str | None, *files: Path) -> Any:
    label = {"com.docker.compose.project.working_dir": folder} if folder else None
    return SimpleNamespace(
        compose_files=files,
        project_name="shop",
        containers=lambda: [{"Config": {"Labels": label}}] if folder != "" else [],
    )


@pytest.mark.parametrize(
    ("folder", "foreign"),
    [
        ("", False),
        (None, False),
        ("clone", False),
        ("link", False),
        ("other", True),
        ("clone/worktree", True),
        (".", True),
        ("clone-2", True),
    ],
)
def test_stack_belongs_to_the_folder_that_started_it(folder, foreign, tmp_path):
    root = tmp_path / "clone"
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    engine = _engine(folder and str(tmp_path / folder), root / "compose.yaml")
    project = contract(root=root)
    assert bool(foreign_folders(project, engine)) is foreign
    if foreign:
        with pytest.raises(UsageError, match="it was started from") as caught:
            require_own_stack(project, engine, "down")
        assert "./inv down --take-over" in (caught.value.hint or "")


def test_first_compose_file_decides_the_folder(tmp_path):
    engine = _engine(str(tmp_path / "deploy"), tmp_path / "deploy/compose.yaml")
    assert foreign_folders(contract(root=tmp_path), engine) == []


def test_image_is_replaced_if_it_has_no_tag_and_no_user():
    images = {
        "sha256:free": {"RepoTags": []},
        "sha256:tagged": {"RepoTags": ["shop:1"]},
        "sha256:used": {"RepoTags": None},
    }
    users = {"sha256:used": "c1\n"}
    engine: Any = SimpleNamespace(
        images=lambda ids: {id_: images[id_] for id_ in ids if id_ in images},
        query=lambda action, *command: users.get(
            command[-1].partition("=")[2].partition("=")[2], ""
        ),
    )
    ids = [*images, "sha256:gone"]
    assert replaced_images(engine, ids) == ["sha256:free"]
    assert replaced_images(engine, ids, unless_used_by=["c1"]) == ["sha256:free", "sha256:used"]
    assert replaced_images(engine, []) == []
