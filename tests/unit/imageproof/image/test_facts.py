"""imageproof.image.facts: what a container of an image would see, and what its configuration says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imageproof.image.facts import File, Package
from tests.support.sample_facts import file, image, layer

# --- files: layers over one another


def _seen(*layers: tuple[str, ...]) -> list[str]:
    return sorted(image(layers=tuple(layer(*map(file, paths)) for paths in layers)).files)


@pytest.mark.parametrize(
    ("layers", "seen"),
    [
        ([("a",), ("b",)], ["a", "b"]),
        ([("a",), (".wh.a",)], []),
        ([("d/a", "d/b"), ("d/.wh.a",)], ["d/b"]),
        ([("d", "d/a", "d/e/b"), (".wh.d",)], []),
        ([("d/a", "dd/a"), (".wh.d",)], ["dd/a"]),
        ([("d/a", "d/ab"), ("d/.wh.a",)], ["d/ab"]),
        ([("d", "d/a", "d/e/b"), ("d/.wh..wh..opq", "d/new")], ["d", "d/new"]),
        ([("d/a", "dd/a"), ("d/.wh..wh..opq",)], ["dd/a"]),
        # a whiteout hides what is below it, not what comes with it or after it
        ([("d/a",), ("d/.wh.a", "d/a")], ["d/a"]),
        ([("d/a",), ("d/.wh.a",), ("d/a",)], ["d/a"]),
        ([(".wh.a",), ("a",)], ["a"]),
        # names that only look like one
        ([("d/x.wh.a", "d/a"), ("d/wh.a",)], ["d/a", "d/wh.a", "d/x.wh.a"]),
    ],
)
def test_whiteouts_hide_what_lower_layers_brought(layers, seen):
    assert _seen(*layers) == seen


def test_an_opaque_root_hides_everything_below():
    assert _seen(("a", "d/b"), (".wh..wh..opq", "c")) == ["c"]


def test_what_replaces_a_folder_hides_what_was_in_it():
    upper = layer(file("d", kind="link", target="elsewhere"))
    found = image(layers=(layer(file("d", kind="folder"), file("d/a")), upper)).files
    assert sorted(found) == ["d"]


def test_a_file_of_an_upper_layer_wins_and_names_its_layer():
    lower, upper = layer(file("a", size=1)), layer(file("a", size=2), name="b")
    found, owner = image(layers=(lower, upper)).files["a"]
    assert (found.size, owner) == (2, upper)


def test_the_size_is_the_sum_of_the_layers_also_of_what_is_hidden():
    layers = (layer(file("a"), size=70), layer(file(".wh.a"), size=5), layer(size=0))
    assert image(layers=layers).size == 75
    assert image(layers=()).size == 0


# --- programs


def _programs(*files: File, path: str = "/usr/local/bin:/usr/bin") -> dict[str, str]:
    facts = image(layers=(layer(*files),), environment={"PATH": path})
    return {name: entry[0].path for name, entry in facts.programs.items()}


def test_programs_are_the_executables_of_path():
    found = _programs(
        file("usr/bin/a"),
        file("usr/bin/data", mode=0o644),
        file("usr/bin/folder", kind="folder"),
        file("usr/bin/link", kind="link", target="a", mode=0o777),
        file("usr/lib/b"),
        file("usr/bin/deeper/c"),
    )
    assert found == {"a": "usr/bin/a", "link": "usr/bin/link"}


def test_the_first_folder_of_path_wins():
    files = (file("usr/bin/a"), file("opt/bin/a"))
    assert _programs(*files, path="/opt/bin:/usr/bin") == {"a": "opt/bin/a"}
    assert _programs(*files, path="/usr/bin:/opt/bin") == {"a": "usr/bin/a"}


@pytest.mark.parametrize("folder", ["usr/bin", "usr/sbin", "usr/local/bin", "bin", "sbin"])
def test_a_program_in_a_usual_place_is_there_whatever_path_says(folder):
    assert _programs(file(f"{folder}/a"), path="/opt/bin") == {"a": f"{folder}/a"}


def test_a_program_elsewhere_is_none_without_path():
    assert _programs(file("opt/bin/a"), path="/usr/bin") == {}


@pytest.mark.parametrize("target", ["usr/x", "/usr/x"])
def test_a_folder_of_path_behind_a_link_is_followed(target):
    files = (file("x", kind="link", target=target), file("usr/x/a"))
    assert _programs(*files, path="/x") == {"a": "usr/x/a"}


def test_an_image_without_path_has_dockers_own():
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
def test_what_is_executable(changes, executable):
    assert file("a", **changes).executable is executable


# --- what no container sees


def _hidden(*layers: tuple[str, ...]) -> list[tuple[str, str, str]]:
    made = [
        layer(*(file(p) for p in paths), name=n) for n, paths in zip("abc", layers, strict=False)
    ]
    return sorted(
        (gone.path, below.instruction, by.instruction)
        for gone, below, by in image(layers=tuple(made)).hidden
    )


def test_what_a_later_layer_removes_is_hidden_and_says_by_whom():
    found = _hidden(("d/x", "y"), ("d/.wh.x",), (".wh.y",))
    assert found == [("d/x", "COPY a /", "COPY b /"), ("y", "COPY a /", "COPY c /")]


def test_what_a_later_layer_brings_again_is_hidden_too():
    assert _hidden(("x",), ("x",)) == [("x", "COPY a /", "COPY b /")]


def test_a_folder_that_is_named_again_hides_nothing():
    folder = file("d", kind="folder")
    found = image(layers=(layer(folder, file("d/x")), layer(folder, name="b")))
    assert found.hidden == []
    assert "d/x" in found.files


def test_deep_folders_are_no_problem():
    deep = "/".join("d" * 1500)
    assert _hidden((f"{deep}/x",), (".wh.d",)) == [(f"{deep}/x", "COPY a /", "COPY b /")]


# --- links, packages, texts


def _link(path: str, target: str):
    return file(path, kind="link", target=target)


@pytest.mark.parametrize(
    ("path", "leads"),
    [("etc/a", True), ("x/b", True), ("c", True), ("up", True), ("gone", False), ("round", False)],
)
def test_a_link_leads_where_a_container_would_follow_it(path, leads):
    files = [
        file("etc/a"), _link("x/b", "../etc/a"), _link("c", "/etc/a"), _link("up", "../../etc/a"),
        _link("gone", "nowhere"), _link("round", "round"),
    ]  # fmt: skip
    assert image(layers=(layer(*files),)).resolves(path) is leads


def test_a_package_is_seen_where_its_record_is():
    one, two = (Package("python", "x", v, "x/METADATA") for v in ("1", "2"))
    below = replace(layer(file("x/METADATA")), packages=(one,))
    above = replace(layer(file("x/METADATA"), name="b"), packages=(two,))
    gone = layer(file("x/.wh.METADATA"), name="c")
    assert [p for p, _ in image(layers=(below, above)).packages] == [two]
    assert image(layers=(below, above, gone)).packages == []


def test_a_text_is_that_of_the_layer_that_is_seen():
    below = replace(layer(file("etc/passwd")), texts={"etc/passwd": "old"})
    above = replace(layer(file("etc/passwd"), name="b"), texts={"etc/passwd": "new"})
    assert image(layers=(below, above)).text("etc/passwd") == "new"
    assert image(layers=(below, layer(file("etc/.wh.passwd"), name="b"))).text("etc/passwd") is None
    assert image(layers=(below, layer(file("etc/passwd"), name="b"))).text("etc/passwd") is None
