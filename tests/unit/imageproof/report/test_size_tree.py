"""Size tree: every byte of an image's files is in it once."""

from __future__ import annotations

from typing import Any

from imageproof.report.size_tree import MAX_DEPTH, tree
from tests.support.sample_facts import file, image, layer


def _of(*layers: Any) -> dict[str, Any]:
    return tree(image(layers=layers))


def _names(node: dict[str, Any]) -> list[str]:
    return [part["name"] for part in node["parts"]]


def _leaves(node: dict[str, Any]) -> list[dict[str, Any]]:
    parts = node.get("parts")
    return [node] if parts is None else [leaf for part in parts for leaf in _leaves(part)]


def test_files_are_grouped_by_folder_largest_first():
    root = _of(layer(file("a/b/x", size=2), file("a/b/y", size=1), file("a/c", size=9), size=10))
    (first,) = root["parts"]
    assert _names(first) == ["/a/c", "/a/b"]
    assert _names(first["parts"][1]) == ["/a/b/x", "/a/b/y"]
    assert root["bytes"] == 12


def test_hidden_files_have_a_node_of_their_own():
    below = layer(file("opt/x", size=5), size=10)
    above = layer(file("opt/x", size=7), size=10, name="b")
    root = _of(below, above)
    assert _names(root["parts"][0]) == ["hidden by a later layer"]
    assert _names(root["parts"][1]) == ["/opt/x"]


def test_small_files_are_summed_up():
    small = [file(f"usr/lib/f{n}", size=10) for n in range(50)]
    root = _of(layer(file("usr/lib/large", size=900_000), *small, size=1_000_000))
    (first,) = root["parts"]
    assert _names(first) == ["/usr/lib/large", "50 small files"]
    assert sum(leaf["bytes"] for leaf in _leaves(root)) == root["bytes"] == 900_500


def test_deep_folders_are_cut_at_the_maximum_depth():
    files = [file("/".join(["d"] * n) + "/x", size=1000) for n in range(1, 400)]
    root = _of(layer(*files, size=400_000))
    assert root["bytes"] == 399_000

    def depth(node: dict[str, Any]) -> int:
        return 1 + max((depth(part) for part in node.get("parts", ())), default=0)

    assert depth(root) <= MAX_DEPTH + 4


def test_unusual_paths_are_counted_and_escaped():
    odd = [file(path, size=100) for path in ("/a", "b", "b/c", "", "../d", "e//f", "\x1b[2J")]
    root = _of(layer(*odd, size=1000))
    assert root["bytes"] == 700
    assert all("\x1b" not in leaf["name"] for leaf in _leaves(root))
