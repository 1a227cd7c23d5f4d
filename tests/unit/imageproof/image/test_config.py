"""Configuration and build history of an image."""

from __future__ import annotations

import pytest

from imageproof.errors import ImageDamaged
from imageproof.image.config import (
    BuildHistory,
    clean_instruction,
    facts_from_config,
    facts_from_inspect,
    history_from_config,
    history_from_engine,
)


def _health(**config: object):
    return facts_from_inspect("r", {"Config": {"Healthcheck": config}}, (), ()).healthcheck


def test_healthcheck_without_times_has_dockers_defaults():
    probe = _health(Test=["CMD", "x"])
    assert (probe.interval, probe.timeout, probe.retries) == (30, 30, 3)
    assert probe.notices_within == 180


def test_healthcheck_times_are_in_seconds():
    probe = _health(Test=["CMD", "x"], Interval=10**10, Timeout=3 * 10**9, Retries=2)
    assert (probe.interval, probe.timeout, probe.retries) == (10, 3, 2)
    assert probe.notices_within == 26


def test_zero_times_mean_the_defaults():
    assert _health(Test=["CMD", "x"], Interval=0, Timeout=0, Retries=0).notices_within == 180


@pytest.mark.parametrize("config", [{"Test": ["NONE"]}, {"Test": []}, {"Interval": 10**9}, {}])
def test_disabled_healthcheck_is_none(config):
    assert _health(**config) is None


@pytest.mark.parametrize(
    "inspected", [{}, {"Config": None}, {"Config": {"Env": None, "Cmd": None}}]
)
def test_empty_configuration_is_read(inspected):
    facts = facts_from_inspect("r", inspected, ("RUN x",), ())
    assert (facts.user, facts.command, facts.environment, facts.labels) == ("", (), {}, {})
    assert facts.healthcheck is None
    assert facts.history == ("RUN x",)


def test_all_configuration_keys_are_read():
    config = {
        "User": "1:2",
        "Entrypoint": ["/init"],
        "Cmd": ["a", "b"],
        "Env": ["A=1", "B=x=y", "C="],
        "Labels": {"l": "v"},
        "ExposedPorts": {"8000/tcp": {}},
    }
    facts = facts_from_inspect("r", {"Id": "sha256:1", "Config": config}, (), ())
    assert (facts.identity, facts.user) == ("sha256:1", "1:2")
    assert (facts.entrypoint, facts.command) == (("/init",), ("a", "b"))
    assert facts.environment == {"A": "1", "B": "x=y", "C": ""}
    assert (facts.labels, facts.ports) == ({"l": "v"}, ("8000/tcp",))


@pytest.mark.parametrize(
    ("created_by", "expected"),
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
def test_history_entry_reads_like_its_dockerfile(created_by, expected):
    assert clean_instruction(created_by) == expected


@pytest.mark.parametrize("text", ['CMD ["bash"]', "ENV A=b", "ADD file:0a in /"])
def test_history_entry_of_the_legacy_builder_is_cleaned(text):
    assert clean_instruction(f"/bin/sh -c #(nop)  {text}") == text


# --- build history


@pytest.mark.parametrize(
    ("history", "count", "expected"),
    [
        (["COPY a /", "RUN x"], 2, ["COPY a /", "RUN x"]),
        (["ENV A=b", "COPY a /", "USER 1:1", "CMD x", "LABEL a=b"], 1, ["COPY a /"]),
        (["ARG A", "WORKDIR /app", "EXPOSE 80", "HEALTHCHECK x"], 1, ["WORKDIR /app"]),
        (["STOPSIGNAL TERM", "SHELL x", "VOLUME /x", "ENTRYPOINT x", "ONBUILD x"], 0, []),
        (["MAINTAINER me", "ADD a /"], 1, ["ADD a /"]),
        # a word that begins like an instruction
        (["RUN ENV", "ENVIRON x"], 2, ["RUN ENV", "ENVIRON x"]),
        # another number of layers: unknown
        (["COPY a /"], 2, ["", ""]),
        (["COPY a /", "COPY b /"], 1, [""]),
        ([], 1, [""]),
        ([], 0, []),
    ],
)
def test_engine_history_gives_the_instruction_of_each_layer(history, count, expected):
    assert history_from_engine(history, count).by_layer == tuple(expected)


def test_configuration_marks_empty_layers():
    history = [
        {"created_by": "RUN /bin/sh -c make # buildkit"},
        {"created_by": "WORKDIR /app", "empty_layer": True},
        {"empty_layer": True},
        {},
    ]
    assert history_from_config({"history": history}, 2) == BuildHistory(
        ("RUN make", "WORKDIR /app", "", ""), ("RUN make", "")
    )


@pytest.mark.parametrize("document", [{}, {"history": None}, {"history": []}])
def test_layers_without_history_have_no_instruction(document):
    assert history_from_config(document, 2) == BuildHistory((), ("", ""))


def test_secret_argument_is_redacted_in_layer_instructions():
    """secret.history reads the history; findings show a layer's instruction."""
    step = "RUN |1 API_" + "TOKEN=swordfish make"
    assert history_from_engine([step], 1) == BuildHistory(
        (step,), ("RUN |1 API_" + "TOKEN=*** make",)
    )


# --- hostile configurations

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
def test_wrong_types_are_refused(config):
    with pytest.raises(ImageDamaged, match="does not follow the OCI image") as caught:
        facts_from_config("r", "i", {"config": config}, (), ())
    assert caught.value.hint
    with pytest.raises(ImageDamaged):
        facts_from_inspect("r", {"Id": "i", "Config": config}, (), ())


@pytest.mark.parametrize("document", [None, [], "x", 7])
def test_configuration_must_be_a_table(document):
    with pytest.raises(ImageDamaged):
        facts_from_config("r", "i", document, (), ())


@pytest.mark.parametrize(
    "history", [{"a": 1}, ["RUN x"], [None], [{"created_by": 7}], [{"created_by": ["x"]}]]
)
def test_history_of_wrong_types_is_refused(history):
    with pytest.raises(ImageDamaged):
        history_from_config({"history": history}, 1)


def test_control_characters_are_escaped_everywhere():
    evil = "a\x1b[2J\u202e\ud800"
    config = {
        "User": evil, "Cmd": [evil], "Entrypoint": [evil], "Env": [f"{evil}={evil}"],
        "Labels": {evil: evil}, "ExposedPorts": {evil: {}}, "Volumes": {evil: {}},
        "WorkingDir": evil, "StopSignal": evil, "Healthcheck": {"Test": ["CMD", evil]},
    }  # fmt: skip
    facts = facts_from_config(
        "r", "i", {"config": config}, history_from_engine([evil], 1).instructions, ()
    )
    tables = (facts.environment, facts.labels)
    texts = [facts.user, facts.workdir, facts.stop_signal, *facts.healthcheck.test[1:]]
    texts += [*facts.command, *facts.entrypoint, *facts.ports, *facts.volumes, *facts.history]
    texts += [text for table in tables for pair in table.items() for text in pair]
    assert texts == [r"a\x1b[2J\u202e\ud800"] * 13
