"""imageproof.image.config: an image's configuration, as the engine or an archive gives it."""

from __future__ import annotations

import pytest

from imageproof.errors import StackFailed
from imageproof.image.config import (
    Steps,
    from_blob,
    from_inspect,
    clean_instruction,
    steps_of,
    steps_told,
)


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
    assert clean_instruction(created_by) == written


@pytest.mark.parametrize("text", ['CMD ["bash"]', "ENV A=b", "ADD file:0a in /"])
def test_an_entry_of_the_old_builder_is_no_run(text):
    assert clean_instruction(f"/bin/sh -c #(nop)  {text}") == text


# --- who made a layer


@pytest.mark.parametrize(
    ("history", "count", "found"),
    [
        (["COPY a /", "RUN x"], 2, ["COPY a /", "RUN x"]),
        (["ENV A=b", "COPY a /", "USER 1:1", "CMD x", "LABEL a=b"], 1, ["COPY a /"]),
        (["ARG A", "WORKDIR /app", "EXPOSE 80", "HEALTHCHECK x"], 1, ["WORKDIR /app"]),
        (["STOPSIGNAL TERM", "SHELL x", "VOLUME /x", "ENTRYPOINT x", "ONBUILD x"], 0, []),
        (["MAINTAINER me", "ADD a /"], 1, ["ADD a /"]),
        # a program's name that begins like an instruction is none
        (["RUN ENV", "ENVIRON x"], 2, ["RUN ENV", "ENVIRON x"]),
        # history and layers do not agree: nothing is guessed
        (["COPY a /"], 2, ["", ""]),
        (["COPY a /", "COPY b /"], 1, [""]),
        ([], 1, [""]),
        ([], 0, []),
    ],
)
def test_the_instruction_that_made_each_layer(history, count, found):
    assert steps_told(history, count).made == tuple(found)


def test_a_configuration_says_itself_what_made_no_layer():
    history = [
        {"created_by": "RUN /bin/sh -c make # buildkit"},
        {"created_by": "WORKDIR /app", "empty_layer": True},
        {"empty_layer": True},
        {},
    ]
    assert steps_of({"history": history}, 2) == Steps(
        ("RUN make", "WORKDIR /app", "", ""), ("RUN make", "")
    )


@pytest.mark.parametrize("document", [{}, {"history": None}, {"history": []}])
def test_an_image_without_history_has_layers_that_nobody_made(document):
    assert steps_of(document, 2) == Steps((), ("", ""))


def test_an_argument_that_is_a_secret_stays_in_the_history_alone():
    """Checks look for it there; findings name the instruction of a layer."""
    step = "RUN |1 API_" + "TOKEN=swordfish make"
    assert steps_told([step], 1) == Steps((step,), ("RUN |1 API_" + "TOKEN=*** make",))


# --- what no builder writes

WRONG = [
    {"User": 7},
    {"Cmd": "abc"},
    {"Cmd": [1]},
    {"Entrypoint": {"a": 1}},
    {"Env": {"a": 1}},
    {"Env": [None, 7]},
    {"Labels": ["a"]},
    {"Labels": {"a": 1}},
    {"ExposedPorts": ["80"]},
    {"Volumes": "abc"},
    {"WorkingDir": ["x"]},
    {"StopSignal": 9},
    {"Healthcheck": [1]},
    {"Healthcheck": {"Test": "CMD"}},
    {"Healthcheck": {"Test": ["CMD"], "Retries": "3"}},
    {"Healthcheck": {"Test": ["CMD"], "Interval": float("inf")}},
    {"Healthcheck": {"Test": ["CMD"], "Timeout": float("nan")}},
    {"Healthcheck": {"Test": ["CMD"], "Timeout": -1}},
    "config",
    [1],
]


@pytest.mark.parametrize("config", WRONG, ids=str)
def test_a_configuration_of_wrong_types_is_an_error(config):
    with pytest.raises(StackFailed, match="not one that the OCI image") as caught:
        from_blob("r", "i", {"config": config}, (), ())
    assert caught.value.hint
    with pytest.raises(StackFailed):
        from_inspect("r", {"Id": "i", "Config": config}, (), ())


@pytest.mark.parametrize("document", [None, [], "x", 7])
def test_a_configuration_that_is_no_table_is_an_error(document):
    with pytest.raises(StackFailed):
        from_blob("r", "i", document, (), ())


@pytest.mark.parametrize(
    "history", [{"a": 1}, ["RUN x"], [None], [{"created_by": 7}], [{"created_by": ["x"]}]]
)
def test_a_history_of_wrong_types_is_an_error(history):
    with pytest.raises(StackFailed):
        steps_of({"history": history}, 1)


def test_what_would_steer_a_terminal_is_escaped_everywhere():
    evil = "a\x1b[2J\u202e\ud800"
    config = {
        "User": evil, "Cmd": [evil], "Entrypoint": [evil], "Env": [f"{evil}={evil}"],
        "Labels": {evil: evil}, "ExposedPorts": {evil: {}}, "Volumes": {evil: {}},
        "WorkingDir": evil, "StopSignal": evil, "Healthcheck": {"Test": ["CMD", evil]},
    }  # fmt: skip
    facts = from_blob("r", "i", {"config": config}, steps_told([evil], 1).history, ())
    tables = (facts.environment, facts.labels)
    said = [facts.user, facts.workdir, facts.stop_signal, *facts.healthcheck.test[1:]]
    said += [*facts.command, *facts.entrypoint, *facts.ports, *facts.volumes, *facts.history]
    said += [text for table in tables for pair in table.items() for text in pair]
    assert said == [r"a\x1b[2J\u202e\ud800"] * 13
