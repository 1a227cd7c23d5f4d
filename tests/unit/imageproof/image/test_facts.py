"""Image facts: merged layers, programs, links, packages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imageproof.image.facts import File, Package
from tests.support.sample_facts import file, image, layer

# --- merged layers


def _visible(*layers: tuple[str, ...]) -> list[str]:
    return sorted(image(layers=tuple(layer(*map(file, paths)) for paths in layers)).files)


@pytest.mark.parametrize(
    ("layers", "visible"),
    [
        ([("a",), ("b",)], ["a", "b"]),
        ([("a",), (".wh.a",)], []),
        ([("d/a", "d/b"), ("d/.wh.a",)], ["d/b"]),
        ([("d", "d/a", "d/e/b"), (".wh.d",)], []),
        ([("d/a", "dd/a"), (".wh.d",)], ["dd/a"]),
        ([("d/a", "d/ab"), ("d/.wh.a",)], ["d/ab"]),
        ([("d", "d/a", "d/e/b"), ("d/.wh..wh..opq", "d/new")], ["d", "d/new"]),
        ([("d/a", "dd/a"), ("d/.wh..wh..opq",)], ["dd/a"]),
        ([("d", "d/a"), ("d/.wh.",)], ["d"]),
        # a whiteout hides lower layers, not its own or later ones
        ([("d/a",), ("d/.wh.a", "d/a")], ["d/a"]),
        ([("d/a",), ("d/.wh.a",), ("d/a",)], ["d/a"]),
        ([(".wh.a",), ("a",)], ["a"]),
        # names that only resemble a whiteout
        ([("d/x.wh.a", "d/a"), ("d/wh.a",)], ["d/a", "d/wh.a", "d/x.wh.a"]),
    ],
)
def test_whiteouts_hide_files_of_lower_layers(layers, visible):
    assert _visible(*layers) == visible


def test_opaque_root_hides_all_lower_layers():
    assert _visible(("a", "d/b"), (".wh..wh..opq", "c")) == ["c"]


def test_replacing_a_folder_hides_its_files():
    upper = layer(file("d", kind="link", target="elsewhere"))
    lower = layer(file("d", kind="folder"), file("d/a"))
    assert sorted(image(layers=(lower, upper)).files) == ["d"]


def test_upper_layer_wins_and_is_named():
    lower, upper = layer(file("a", size=1)), layer(file("a", size=2), name="b")
    assert image(layers=(lower, upper)).files["a"] == (file("a", size=2), upper)


def test_size_is_the_sum_of_the_layers_with_hidden_files():
    layers = (layer(file("a"), size=70), layer(file(".wh.a"), size=5), layer(size=0))
    assert image(layers=layers).size == 75
    assert image(layers=()).size == 0


# --- programs


def _programs(*files: File, path: str = "/usr/local/bin:/usr/bin") -> dict[str, str]:
    facts = image(layers=(layer(*files),), environment={"PATH": path})
    return {name: entry.file.path for name, entry in facts.programs.items()}


def test_programs_are_the_executables_on_path():
    programs = _programs(
        file("usr/bin/a"),
        file("usr/bin/data", mode=0o644),
        file("usr/bin/folder", kind="folder"),
        file("usr/bin/link", kind="link", target="a", mode=0o777),
        file("usr/lib/b"),
        file("usr/bin/deeper/c"),
    )
    assert programs == {"a": "usr/bin/a", "link": "usr/bin/link"}


def test_first_folder_on_path_wins():
    files = (file("usr/bin/a"), file("opt/bin/a"))
    assert _programs(*files, path="/opt/bin:/usr/bin") == {"a": "opt/bin/a"}
    assert _programs(*files, path="/usr/bin:/opt/bin") == {"a": "usr/bin/a"}


@pytest.mark.parametrize("folder", ["usr/bin", "usr/sbin", "usr/local/bin", "bin", "sbin"])
def test_program_in_a_standard_folder_counts_without_path(folder):
    assert _programs(file(f"{folder}/a"), path="/opt/bin") == {"a": f"{folder}/a"}


def test_program_in_another_folder_needs_path():
    assert _programs(file("opt/bin/a"), path="/usr/bin") == {}


@pytest.mark.parametrize("target", ["usr/x", "/usr/x"])
def test_linked_folder_on_path_is_followed(target):
    files = (file("x", kind="link", target=target), file("usr/x/a"))
    assert _programs(*files, path="/x") == {"a": "usr/x/a"}


def test_image_without_path_has_dockers_default():
    facts = image(layers=(layer(file("usr/local/bin/a")),), environment={})
    assert list(facts.programs) == ["a"]


@pytest.mark.parametrize(
    ("changes", "executable"),
    [
        ({"mode": 0o755}, True),
        ({"mode": 0o001}, True),
        ({"mode": 0o644}, False),
        ({"kind": "link", "mode": 0}, True),
        ({"kind": "hardlink", "mode": 0}, True),
        ({"kind": "folder"}, False),
        ({"kind": "other"}, False),
    ],
)
def test_executable_by_mode_and_kind(changes, executable):
    assert file("a", **changes).executable is executable


# --- hidden files


def _hidden(*layers: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return path, instruction and hiding instruction; the layers are named a, b and c."""
    stack = tuple(
        layer(*map(file, paths), name=name) for name, paths in zip("abc", layers, strict=False)
    )
    return [
        (entry.file.path, entry.layer.instruction, entry.hidden_by.instruction)
        for entry in image(layers=stack).hidden
    ]


def test_removed_file_is_hidden_by_the_removing_layer():
    assert _hidden(("d/x", "y"), ("d/.wh.x",), (".wh.y",)) == [
        ("d/x", "COPY a /", "COPY b /"),
        ("y", "COPY a /", "COPY c /"),
    ]


def test_hidden_files_are_in_the_order_of_their_layer():
    paths = tuple(f"d/{number}" for number in range(9))
    assert [path for path, _, _ in _hidden(paths, (".wh.d",))] == list(paths)


def test_replaced_file_is_hidden():
    assert _hidden(("x",), ("x",)) == [("x", "COPY a /", "COPY b /")]


def test_repeated_folder_hides_nothing():
    folder = file("d", kind="folder")
    facts = image(layers=(layer(folder, file("d/x")), layer(folder, name="b")))
    assert facts.hidden == []
    assert "d/x" in facts.files


def test_deeply_nested_folders_are_merged():
    deep = "/".join("d" * 1500)
    assert _hidden((f"{deep}/x",), (".wh.d",)) == [(f"{deep}/x", "COPY a /", "COPY b /")]


# --- links, packages, texts


def _link(path: str, target: str):
    return file(path, kind="link", target=target)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("etc/a", True), ("x/b", True), ("c", True), ("up", True), ("gone", False), ("round", False)],
)
def test_link_resolves_as_in_a_container(path, expected):
    files = [
        file("etc/a"), _link("x/b", "../etc/a"), _link("c", "/etc/a"), _link("up", "../../etc/a"),
        _link("gone", "nowhere"), _link("round", "round"),
    ]  # fmt: skip
    assert image(layers=(layer(*files),)).resolves(path) is expected


def test_package_is_visible_if_its_record_is():
    old, new = (Package("python", "x", version, "x/METADATA") for version in ("1", "2"))
    below = replace(layer(file("x/METADATA")), packages=(old,))
    above = replace(layer(file("x/METADATA"), name="b"), packages=(new,))
    removal = layer(file("x/.wh.METADATA"), name="c")
    assert [package for package, _ in image(layers=(below, above)).packages] == [new]
    assert image(layers=(below, above, removal)).packages == []


def test_text_is_that_of_the_visible_file():
    below = replace(layer(file("etc/passwd")), texts={"etc/passwd": "old"})
    above = replace(layer(file("etc/passwd"), name="b"), texts={"etc/passwd": "new"})
    assert image(layers=(below, above)).text("etc/passwd") == "new"
    assert image(layers=(below, layer(file("etc/.wh.passwd"), name="b"))).text("etc/passwd") is None
    assert image(layers=(below, layer(file("etc/passwd"), name="b"))).text("etc/passwd") is None
