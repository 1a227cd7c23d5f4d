"""The Node program through its Python door, on real Node and real tarballs."""

import gzip
import io
import random
import tarfile
from pathlib import Path

import pytest

from worker import differ, node
from worker.differ import DiffError, DiffResult, diff_tarballs
from worker.selftest import pack

Files = dict[str, bytes]


def _diff(tmp_path: Path, old: Files, new: Files, **limits: int) -> DiffResult:
    pack(tmp_path / "old.tgz", old)
    pack(tmp_path / "new.tgz", new)
    return diff_tarballs(tmp_path / "old.tgz", tmp_path / "new.tgz", limits=limits)


def _refused(tmp_path: Path, members: list[tarfile.TarInfo], **limits: int) -> str:
    """Return the code with which a tarball of these (empty) members is refused."""
    pack(tmp_path / "old.tgz", {"a": b""})
    with tarfile.open(tmp_path / "new.tgz", "w:gz") as archive:
        for member in members:
            archive.addfile(member)
    with pytest.raises(DiffError) as caught:
        diff_tarballs(tmp_path / "old.tgz", tmp_path / "new.tgz", limits=limits)
    return caught.value.code


def test_a_changed_line_is_a_unified_diff(tmp_path: Path) -> None:
    """In the form that patch and git read."""
    old, new = b"".join(b"%d\n" % i for i in range(9)), b"".join(b"%d\n" % i for i in range(8))
    result = _diff(tmp_path, {"x.js": old, "same": b"s"}, {"x.js": new + b"8", "same": b"s"})
    assert [(f.path, f.status, f.added, f.removed) for f in result.files] == [
        ("x.js", "modified", 1, 1)
    ]
    assert result.diff == (
        "diff --git a/x.js b/x.js\n--- a/x.js\n+++ b/x.js\n@@ -6,4 +6,4 @@\n"
        " 5\n 6\n 7\n-8\n+8\n\\ No newline at end of file\n"
    )
    assert not result.truncated
    assert result.stats["lines_added"] == result.stats["lines_removed"] == 1


def test_added_removed_and_empty_files(tmp_path: Path) -> None:
    """Each against /dev/null; a file without lines has no hunk."""
    result = _diff(tmp_path, {"gone": b"x\n"}, {"new": b"y\n", "empty": b""})
    assert {(f.path, f.status) for f in result.files} == {
        ("gone", "removed"),
        ("new", "added"),
        ("empty", "added"),
    }
    assert "--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n" in result.diff
    assert "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+y\n" in result.diff


def test_equal_tarballs_have_no_difference(tmp_path: Path) -> None:
    """Neither a file nor text."""
    result = _diff(tmp_path, {"a": b"1"}, {"a": b"1"})
    assert (result.files, result.diff) == ((), "")


def _apply(old: list[str], diff: str) -> list[str]:
    """Apply the hunks of one file's diff, checking each line that they say is there."""
    result, at = [], 0
    for line in diff.split("\n")[3:-1]:
        if line.startswith("@@"):
            start, _, count = line.split()[1][1:].partition(",")
            begin = int(start) - (count != "0")
            result += old[at:begin]
            at = begin
        elif line[0] == "+":
            result.append(line[1:])
        else:
            assert line[1:] == old[at]
            result += [line[1:]] if line[0] == " " else []
            at += 1
    return result + old[at:]


def test_a_diff_applied_to_the_old_file_makes_the_new_one(tmp_path: Path) -> None:
    """For many random pairs in one request: adjacent hunks, edges, everything replaced."""
    rng = random.Random(7)
    pairs: dict[str, tuple[list[str], list[str]]] = {}
    for i in range(300):
        old = [rng.choice("abcdef") for _ in range(rng.randrange(1, 60))]
        new = [c for c in old if rng.random() > 0.1]
        for _ in range(rng.randrange(4)):
            new.insert(rng.randrange(len(new) + 1), rng.choice("abcxyz"))
        pairs[f"f{i:03}"] = (old, new)
    text = {k: ["".join(f"{c}\n" for c in side).encode() for side in v] for k, v in pairs.items()}
    result = _diff(tmp_path, {k: v[0] for k, v in text.items()}, {k: v[1] for k, v in text.items()})
    blocks = result.diff.split("diff --git ")[1:]
    changed = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    assert len(blocks) == len(changed) == len(result.files)
    for block, (old, new) in zip(blocks, changed.values(), strict=True):
        assert _apply(old, block) == new


def test_a_file_beyond_the_edit_bound_counts_as_rewritten(tmp_path: Path) -> None:
    """It still ends soon, and no line is lost."""
    old = b"".join(b"old %d\n" % i for i in range(9000))
    new = b"".join(b"new %d\n" % i for i in range(9000))
    (file,) = _diff(tmp_path, {"a": old}, {"a": new}).files
    assert (file.added, file.removed) == (9000, 9000)


def test_a_binary_file_is_named_and_not_shown(tmp_path: Path) -> None:
    """A NUL near its start makes it one, as in git."""
    result = _diff(tmp_path, {"a.node": b"\0old"}, {"a.node": b"\0new"})
    assert result.files[0].note == "binary"
    assert "Binary files a/a.node and b/a.node differ" in result.diff


def test_text_that_is_not_utf8_loses_no_difference(tmp_path: Path) -> None:
    """Two bytes that both become a replacement character are still two bytes."""
    (file,) = _diff(tmp_path, {"a": b"\xff\n"}, {"a": b"\xfe\n"}).files
    assert (file.added, file.removed, file.note) == (1, 1, None)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_paths_are_read_in_every_format(form: int, tmp_path: Path) -> None:
    """By pax header, by GNU's long name, by ustar's prefix."""
    name = "/".join(["d" * 40] * 4) + "/file.js"
    pack(tmp_path / "old.tgz", {})
    with tarfile.open(tmp_path / "new.tgz", "w:gz", format=form) as archive:
        member = tarfile.TarInfo(f"package/{name}")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"x\n"))
    (file,) = diff_tarballs(tmp_path / "old.tgz", tmp_path / "new.tgz").files
    assert (file.path, file.added) == (name, 1)


def test_long_diffs_are_cut_and_say_so(tmp_path: Path) -> None:
    """At a whole character, while the counts stay whole."""
    result = _diff(tmp_path, {}, {"a": "é\n".encode() * 500, "b": b"x\n"}, maxDiffBytes=100)
    assert result.truncated
    assert 98 <= len(result.diff.encode()) <= 100
    assert "\ufffd" not in result.diff
    assert result.stats["lines_added"] == 501


def test_a_file_of_too_many_lines_is_counted_only(tmp_path: Path) -> None:
    """Megabytes of newlines must not become millions of strings."""
    result = _diff(tmp_path, {"a": b""}, {"a": b"\n" * 5_000_000})
    assert (result.files[0].note, result.files[0].added) == ("too many lines", 5_000_000)


@pytest.mark.parametrize("damage", ["not gzip", "cut", "not tar", "cut inside"])
def test_a_broken_tarball_is_refused(damage: str, tmp_path: Path) -> None:
    """With the kind of damage, and no stack trace."""
    path = tmp_path / "bad.tgz"
    pack(path, {"a": random.Random(1).randbytes(4000)})
    whole = path.read_bytes()
    damaged = {
        "not gzip": b"hello",
        "cut": whole[: len(whole) // 2],
        "not tar": gzip.compress(b"x" * 1024),
        "cut inside": gzip.compress(gzip.decompress(whole)[:1024]),
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(DiffError) as caught:
        diff_tarballs(path, path)
    assert caught.value.code == ("bad_gzip" if damage in ("not gzip", "cut") else "bad_tar")
    assert "at " not in str(caught.value)


def test_an_absent_tarball_is_unreadable(tmp_path: Path) -> None:
    """A failure of its own kind."""
    with pytest.raises(DiffError, match="ENOENT") as caught:
        diff_tarballs(tmp_path / "a.tgz", tmp_path / "b.tgz")
    assert caught.value.code == "unreadable"


def test_what_unpacks_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """A bomb is not unpacked to its end."""
    with pytest.raises(DiffError) as caught:
        _diff(tmp_path, {}, {"zeros": b"\0" * 2_000_000}, maxUnpackedBytes=1_000_000)
    assert caught.value.code == "too_large"


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    """By number, whatever their size."""
    members = [tarfile.TarInfo(f"package/{i}") for i in range(11)]
    assert _refused(tmp_path, members, maxFiles=10) == "too_many_files"


@pytest.mark.parametrize(
    "name",
    ["package/../../etc/passwd", "/etc/passwd", "package\\..\\x", "bare", "package/" + "n" * 5000],
)
def test_a_hostile_name_is_refused(name: str, tmp_path: Path) -> None:
    """Names that leave the package, or are beyond all measure."""
    assert _refused(tmp_path, [tarfile.TarInfo(name)]) == "unsafe_path"


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """Any reading of it could make two names look like one."""
    name = b"package/\xff".decode("utf-8", "surrogateescape")
    assert _refused(tmp_path, [tarfile.TarInfo(name)]) == "unsafe_path"


def test_a_name_cannot_pass_for_lines_of_the_diff(tmp_path: Path) -> None:
    """A newline or a right-to-left mark in it is shown escaped; __proto__ is a name like others."""
    result = _diff(tmp_path, {}, {"a\n+++ b/c": b"x\n", "\u202etxt": b"x\n", "__proto__": b"x\n"})
    assert '+++ "b/a\\n+++ b/c"\n' in result.diff
    assert "\u202e" not in result.diff
    assert {f.path for f in result.files} == {"a\n+++ b/c", "\u202etxt", "__proto__"}


def test_links_are_counted_and_not_followed(tmp_path: Path) -> None:
    """A link to a file of this machine shows nothing of it."""
    pack(tmp_path / "old.tgz", {})
    with tarfile.open(tmp_path / "new.tgz", "w:gz") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo("package/link")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
    result = diff_tarballs(tmp_path / "old.tgz", tmp_path / "new.tgz")
    assert (result.files, result.stats["ignored_to"]) == ((), 2)


def test_an_unknown_limit_is_a_bad_request(tmp_path: Path) -> None:
    """A misspelt limit must not silently be none."""
    with pytest.raises(DiffError) as caught:
        _diff(tmp_path, {}, {}, maxFile=1)
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("for (;;);", "took too long"),
        ("import fs from 'fs'; for (;;) fs.writeSync(1, 'x'.repeat(65536));", "wrote more than"),
        ("throw new Error('planted');", "planted"),
        ("console.log('{}')", "another shape"),
    ],
)
def test_a_program_that_misbehaves_is_an_error(
    program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at its bounds; the tail of its stderr is told."""
    script = tmp_path / "bad.mjs"
    script.write_text(program)
    monkeypatch.setattr(differ, "PROGRAM", script)
    with pytest.raises(DiffError, match=said) as caught:
        diff_tarballs(tmp_path, tmp_path, timeout=0.5 if "long" in said else 30)
    assert caught.value.code == "node"


def test_the_program_sees_no_variable_of_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key is any business of what reads strangers' files."""
    monkeypatch.setenv("LLM_API_KEY", "hush")
    script = tmp_path / "env.mjs"
    script.write_text("console.log(Object.keys(process.env).join())")
    assert node.run(script, b"", timeout=30, max_output=1000).output == b"PATH\n"


def test_no_node_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not a traceback about None."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(node.NodeError, match="not on the PATH"):
        node.version()
