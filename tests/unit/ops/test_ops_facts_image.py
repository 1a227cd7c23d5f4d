"""ops.facts.image: what a container of an image would see, and what its configuration says."""

from __future__ import annotations

import pytest

from ops.facts.image import File, from_inspect, instruction
from tests.unit.ops.samples import file, image, layer

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
    return {name: entry[0].path for name, entry in facts.programs().items()}


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
    assert list(facts.programs()) == ["a"]


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


# --- configuration


def _health(**config: object):
    return from_inspect("r", {"Config": {"Healthcheck": config}}, (), ()).healthcheck


def test_a_healthcheck_without_times_has_dockers_defaults():
    probe = _health(Test=["CMD", "x"])
    assert (probe.interval, probe.timeout, probe.retries) == (30, 30, 3)
    assert probe.notices_within == 180


def test_a_healthcheck_with_times_counts_in_seconds():
    probe = _health(Test=["CMD", "x"], Interval=10**10, Timeout=3 * 10**9, Retries=2)
    assert (probe.interval, probe.timeout, probe.retries) == (10, 3, 2)
    assert probe.notices_within == 26


def test_times_of_zero_are_the_defaults():
    assert _health(Test=["CMD", "x"], Interval=0, Timeout=0, Retries=0).notices_within == 180


@pytest.mark.parametrize("config", [{"Test": ["NONE"]}, {"Test": []}, {"Interval": 10**9}, {}])
def test_a_healthcheck_that_is_none(config):
    assert _health(**config) is None


@pytest.mark.parametrize(
    "inspected", [{}, {"Config": None}, {"Config": {"Env": None, "Cmd": None}}]
)
def test_an_image_that_says_nothing_is_read(inspected):
    facts = from_inspect("r", inspected, ("RUN x",), ())
    assert (facts.user, facts.command, facts.environment, facts.labels) == ("", (), {}, {})
    assert facts.healthcheck is None
    assert facts.history == ("RUN x",)


def test_everything_that_an_image_says_is_read():
    config = {
        "User": "1:2",
        "Entrypoint": ["/init"],
        "Cmd": ["a", "b"],
        "Env": ["A=1", "B=x=y", "C="],
        "Labels": {"l": "v"},
        "ExposedPorts": {"8000/tcp": {}},
    }
    facts = from_inspect("r", {"Id": "sha256:1", "Config": config}, (), ())
    assert (facts.identity, facts.user) == ("sha256:1", "1:2")
    assert (facts.entrypoint, facts.command) == (("/init",), ("a", "b"))
    assert facts.environment == {"A": "1", "B": "x=y", "C": ""}
    assert (facts.labels, facts.ports) == ({"l": "v"}, ("8000/tcp",))


@pytest.mark.parametrize(
    ("created_by", "written"),
    [
        ("RUN /bin/sh -c set -eux;   make # buildkit", "RUN set -eux; make"),
        ("/bin/sh -c apt-get update", "RUN apt-get update"),
        ("COPY a b # buildkit", "COPY a b"),
        ('CMD ["python" "-m" "app"]', 'CMD ["python" "-m" "app"]'),
        ("RUN a \t\n  b # buildkit", "RUN a b"),
        ("RUN echo # buildkit is here", "RUN echo # buildkit is here"),
        ("RUN |1 A=b /bin/sh -c x # buildkit", "RUN |1 A=b /bin/sh -c x"),
        ("", ""),
    ],
)
def test_an_entry_of_the_history_reads_as_a_person_wrote_it(created_by, written):
    assert instruction(created_by) == written


@pytest.mark.parametrize("text", ['CMD ["bash"]', "ENV A=b", "ADD file:0a in /"])
def test_an_entry_of_the_old_builder_is_no_run(text):
    assert instruction(f"/bin/sh -c #(nop)  {text}") == text
