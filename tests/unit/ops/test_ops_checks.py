"""ops.checks: every check finds its fault, and lets pass what only resembles one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ops.checks import REGISTRY, Check, Finding, find
from ops.errors import UsageError
from ops.facts.image import Healthcheck
from ops.facts.running import ProgramRun
from ops.facts.variables import Variable
from tests.unit.ops.samples import (
    BASE_LABEL,
    MB,
    TITLE_LABEL,
    container,
    contract,
    example,
    file,
    holding,
    image,
    layer,
    passed,
    process,
    running,
    terms,
    variables,
)

SECRET = "sword" + "fish" * 3
SHAPED = "ghp_" + "x" * 36
LABELS = image().labels


def _env(name: str, value: str) -> Any:
    return image(environment={"PATH": "/usr/bin", name: value})


def _label(name: str, value: str) -> Any:
    return image(labels={**LABELS, name: value})


def _line(text: str) -> Any:
    return image(history=("COPY a /", text))


def _started(*command: str, entrypoint: tuple[str, ...] = ()) -> Any:
    return image(command=command, entrypoint=entrypoint)


def _probe(*test: str, interval: float = 10, timeout: float = 3, retries: int = 3) -> Any:
    return image(healthcheck=Healthcheck(test or ("CMD", "x"), interval, timeout, retries))


def _answer(answer: str, status: int = 0) -> dict[str, ProgramRun]:
    return {"python": ProgramRun(answer, status)}


def _sized(size: int) -> Any:
    return image(layers=(layer(size=size - MB), layer(size=MB, name="b")))


def _entry(name: str, value: str = "x", *, secret: bool = False) -> Any:
    """The places that agree, but for a variable of the settings class."""
    good = variables().settings["shop"]
    return variables(settings={"shop": {**good, name: Variable(name, value, secret)}})


def _other_layer(**changes: Any) -> Any:
    return image(layers=(layer(file("usr/bin/a", **changes)), layer(name="b")))


# check id: facts that fall short, and a word that the finding must say
FAULTS: dict[str, list[tuple[Any, str]]] = {
    "base.recorded": [
        (image(labels={TITLE_LABEL: "shop"}), BASE_LABEL),
        (_label(BASE_LABEL, ""), BASE_LABEL),
    ],
    "config.exec-form": [
        (_started("/bin/sh", "-c", "python -m shop"), "a shell starts it"),
        (_started("python -m shop", entrypoint=("/bin/bash", "-c")), "a shell starts it"),
        (_started("sh", "-c", "python -m shop", entrypoint=("busybox",)), "something else"),
        (_started("python", "-m", "shop", "--debug"), "something else"),
        (_started("python -m shop"), "something else"),
        (_started(), "something else"),
        (_started("python", "-m", "shop", entrypoint=("/init",)), "something else"),
    ],
    "config.healthcheck": [
        (image(healthcheck=None), "no HEALTHCHECK"),
        (_probe("CMD", "true"), "cannot fail"),
        (_probe("CMD", "/bin/true"), "cannot fail"),
        (_probe("CMD-SHELL", "exit 0"), "cannot fail"),
        (_probe("CMD-SHELL", " : "), "cannot fail"),
        (_probe("CMD-SHELL", "curl -f localhost || true"), "cannot fail"),
        (_probe(retries=4), "52 s at worst"),
        (_probe(interval=12.1), "45.3 s at worst"),
        (_probe(timeout=30, interval=30), "180 s"),
    ],
    "config.labels": [
        (image(labels={BASE_LABEL: "x"}), TITLE_LABEL),
        (_label(TITLE_LABEL, ""), TITLE_LABEL),
    ],
    "config.ports": [
        (image(ports=()), "8000 of the contract is not exposed"),
        (image(ports=("8000/tcp", "9000/udp")), "9000 is exposed"),
        (image(ports=("8000/tcp", "80/tcp")), "80 is privileged"),
        (image(ports=("8000/tcp", "1023/tcp")), "1023 is privileged"),
    ],
    "content.forbidden": [
        (holding("usr/bin/npm"), "npm"),
        (holding("bin/sh"), "sh"),
        (holding("usr/local/bin/npm"), "npm"),
        (image(layers=(layer(file("usr/bin/sh", kind="link", target="dash")),)), "sh"),
    ],
    "content.toolchain": [
        (holding(path), path.rpartition("/")[2])
        for path in (
            *("usr/bin/gcc", "usr/bin/gcc-12", "usr/bin/x86_64-linux-gnu-gcc-12", "usr/bin/cc"),
            *("usr/bin/g++", "usr/bin/clang++-14", "usr/bin/ld.gold", "usr/bin/as"),
            *("usr/bin/make", "opt/cmake/bin/cmake", "root/.cargo/bin/cargo"),
            *("usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", "usr/lib/node_modules/x/node-gyp"),
        )
    ],
    "env.documented": [(example("API_PORT", "8000", documented=False), "API_PORT")],
    "env.parity": [
        (_entry("NEW"), "compose.yaml does not pass it on"),
        (_entry("NEW"), ".env.example does not name it"),
        (_entry("LOG_LEVEL", "debug"), "'debug' in the code, 'info' in .env.example"),
        (passed(LOG_LEVEL="debug"), "'info' in the code, 'debug' in compose.yaml"),
        (passed(API_TOKEN=SECRET), "though it is a secret"),
        (passed(OTHER="1"), "OTHER: compose.yaml passes it"),
        (passed(without="LOG_LEVEL"), "LOG_LEVEL: shop reads it"),
        (example("STALE", "1"), "STALE: .env.example names it, nothing reads it"),
        (example("LOG_LEVEL", "debug"), "LOG_LEVEL"),
        (example("API_TOKEN", SECRET), "though it is a secret"),
        (variables(example=None), "there is no .env.example"),
        (variables(compose={}), "does not pass it on"),
    ],
    "env.secrets-blank": [
        (example("API_TOKEN", SECRET), "API_TOKEN"),
        (passed(API_TOKEN=SECRET), "API_TOKEN"),
        (variables(example=None, compose=passed(API_TOKEN=SECRET).compose), "API_TOKEN"),
    ],
    "run.capabilities": [
        (running(effective=1 << 10), "0x400"),
        (running(permitted=1), "0x1"),
        (running(ambient=1 << 40), "0x10000000000"),
        ([container(), *running(effective=2)], "0x2"),
    ],
    "run.healthy": [
        ([container(status="exited")], "exited"),
        ([container(status="paused")], "paused"),
        ([container(health="unhealthy", last_words="refused")], "refused"),
        ([container(health="starting")], "starting"),
        ([container(health=None)], "without a health check"),
        ([container(restarts=1)], "restarted 1"),
        ([container(out_of_memory=True)], "memory"),
        ([container(), container(name="shop-2", status="dead")], "shop-2"),
    ],
    "run.no-new-privileges": [
        (running(no_new_privileges=False), "may gain privileges"),
        (
            [container(processes=(process(), process(pid=9, no_new_privileges=False)))],
            "process 9",
        ),
    ],
    "run.nonroot": [
        (running(uids=(0, 0, 0, 0)), "uids (0, 0, 0, 0)"),
        (running(uids=(10001, 10001, 0, 10001)), "uids"),
        (running(uids=(10001, 0, 10001, 10001)), "uids"),
        (running(gids=(0, 0, 0, 0)), "gids"),
        (running(gids=(10001, 10001, 10001, 0)), "gids"),
        (running(uids=(10002,) * 4), "10002"),
        (running(groups=(10001, 0)), "the group root"),
        ([container(processes=(process(), process(pid=9, uids=(0,) * 4)))], "process 9"),
        ([container(), *running(uids=(0,) * 4)], "uids"),
    ],
    "run.programs": [
        (_answer("Python 3.12.1"), "3.12.1"),
        (_answer(""), "answers ''"),
        (_answer("python: libz.so.1 is missing", 127), "status 127"),
        (_answer("Python 3.11.2", 1), "status 1"),
    ],
    "secret.env": [
        (_env("API_TOKEN", SECRET), "API_TOKEN"),
        (_env("DB_PASSWORD", SECRET), "DB_PASSWORD"),
        (_env("PLAIN", SHAPED), "PLAIN"),
        (_env("INDEX", f"https://me:{SECRET}@shop.invalid/"), "INDEX"),
    ],
    "secret.history": [
        (_line(f"ARG API_TOKEN={SECRET}"), "ARG"),
        (_line(f"RUN |1 API_TOKEN={SECRET} /bin/sh -c make"), "(API_TOKEN)"),
        (_line(f"RUN curl -H 'x: {SHAPED}' there"), "RUN"),
        (_line(f"RUN DB_PASSWORD='{SECRET}' make"), "(DB_PASSWORD)"),
        (_line(f"RUN pip install --index-url https://me:{SECRET}@shop.invalid/"), "RUN"),
    ],
    "secret.label": [
        (_label("com.invalid.api-token", SECRET), "com.invalid.api-token"),
        (_label("shop/password", SECRET), "shop/password"),
        (_label("plain", SHAPED), "plain"),
    ],
    "size.budget": [
        (_sized(10 * MB + 1), "the budget is 10.0 MB"),
        (_sized(50 * MB), "the largest layer has 49.0 MB"),
    ],
    "user.nonroot": [
        *((image(user=user), "the user is root") for user in ("", "root", "0", "0:0", "00:00")),
        (image(user="0:10001"), "the user is root"),
        (image(user="root:10001"), "the user is root"),
        (image(user="10001:0"), "the group is root"),
        (image(user="10001:00"), "the group is root"),
        (image(user="10001:root"), "the group is root"),
        (image(user="10001"), "not 10001:10001"),
        (image(user="app"), "not 10001:10001"),
        (image(user="10002:10001"), "not 10001:10001"),
    ],
    "user.numeric": [
        (image(user=user), user) for user in ("app", "app:app", "10001", "10001:app", "app:1", ":1")
    ],
}

# check id: facts that look like a fault, or almost are one, and are none
FINE: dict[str, list[Any]] = {
    "base.recorded": [_label(BASE_LABEL, "scratch")],
    "config.exec-form": [
        _started("-m", "shop", entrypoint=("python",)),
        image(),
    ],
    "config.healthcheck": [
        _probe("CMD", "true-enough"),
        _probe("CMD-SHELL", "curl -f localhost || exit 1"),
        _probe(interval=12, timeout=3, retries=3),  # the bound itself
    ],
    "config.labels": [_label("more", "")],
    "config.ports": [image(ports=("8000/udp",)), image(ports=("8000",))],
    "content.forbidden": [
        holding("usr/bin/bash", "usr/bin/npmx", "usr/share/npm"),
        image(layers=(layer(file("usr/bin/npm", mode=0o644)),)),
        image(layers=(layer(file("usr/bin/npm")), layer(file("usr/bin/.wh.npm")))),
        holding("usr/lib/python3.11/sh"),
    ],
    "content.toolchain": [
        holding("usr/bin/cat", "usr/bin/makeinfo", "usr/bin/gcc.txt", "usr/bin/basename"),
        holding("usr/lib/python3.11/as.py", "usr/share/doc/make"),
        image(layers=(layer(file("usr/bin/make", mode=0o644)),)),
        image(layers=(layer(file("etc/cc", kind="folder")),)),
        image(layers=(layer(file("usr/bin/gcc")), layer(file("usr/bin/.wh.gcc")))),
    ],
    "env.documented": [variables(), variables(example=None), variables(example={})],
    "env.parity": [
        variables(),
        example("API_PORT", "9999"),  # the compose file's own: no class reads it
        variables(settings={}, example=None, compose={}),
    ],
    "env.secrets-blank": [
        variables(),
        example("LOG_LEVEL", "debug"),
        variables(example=None),
        variables(compose={}),
    ],
    "run.capabilities": [running(uids=(0,) * 4)],
    "run.healthy": [[container(processes=None)], [container(), container(name="shop-2")]],
    "run.no-new-privileges": [running(uids=(0,) * 4)],
    "run.nonroot": [running(groups=()), running(groups=(10001, 20)), running(effective=1)],
    "run.programs": [
        _answer("Python 3.11.9"),
        {**_answer("Python 3.11.9"), "x": ProgramRun("", 1)},
    ],
    "secret.env": [
        _env("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        _env("PATH", "/usr/bin"),
        _env("TOKEN_URL", "https://shop.invalid/token"),
        _env("API_TOKEN", ""),
        _env("API_TOKEN", "$TOKEN"),
        _env("API_TOKEN_FILE", "/run/secrets/token"),
    ],
    "secret.history": [
        _line("ARG API_TOKEN"),
        _line("ARG API_TOKEN="),
        _line('ARG API_TOKEN=""'),
        _line("RUN |1 API_TOKEN= /bin/sh -c make"),
        _line("RUN API_TOKEN=$(cat /run/secrets/token) make"),
        _line('RUN export API_TOKEN="$TOKEN"'),
        _line("RUN --mount=type=secret,id=token make"),
        _line("ARG GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D"),
        _line("RUN make token"),
    ],
    "secret.label": [
        _label("com.invalid.api-token", ""),
        _label("org.opencontainers.image.authors", "somebody"),
        _label("com.invalid.token-url", "https://shop.invalid/"),
    ],
    "size.budget": [_sized(10 * MB), image(layers=())],
    "user.nonroot": [image(user="10001:10001")],
    "user.numeric": [image(user="0:0"), image(user=""), image(user="10001:10001")],
}

GOOD: dict[str, Callable[[], Any]] = {
    "image": image,
    "programs": lambda: _answer("Python 3.11.2"),
    "containers": lambda: [container()],
    "project": variables,
}


def _ask(check: Check, facts: Any) -> list[Finding]:
    return list(check.ask(contract() if check.looks == "project" else terms(), facts))


def _table(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(id_, case, id=f"{id_}-{number}")
        for id_, cases in table.items()
        for number, case in enumerate(cases)
    ]


def test_every_check_has_examples_of_both_kinds():
    assert FAULTS.keys() == REGISTRY.keys()
    assert FINE.keys() == REGISTRY.keys()
    assert all(FAULTS.values())
    assert all(FINE.values())


@pytest.mark.parametrize(("id_", "case"), _table(FAULTS))
def test_a_fault_is_found_and_named(id_, case):
    facts, said = case
    findings = _ask(REGISTRY[id_], facts)
    assert any(said in finding.message for finding in findings), findings
    assert not any(finding.unknown for finding in findings)


@pytest.mark.parametrize(("id_", "facts"), _table(FINE))
def test_a_near_miss_passes(id_, facts):
    assert _ask(REGISTRY[id_], facts) == []


@pytest.mark.parametrize("check", REGISTRY.values(), ids=list(REGISTRY))
def test_what_is_all_right_passes_every_check(check):
    assert _ask(check, GOOD[check.looks]()) == []


@pytest.mark.parametrize("id_", sorted(REGISTRY))
def test_a_check_that_never_finds_anything_would_be_noticed(id_):
    """Each row of FAULTS holds a finding of the check itself: without it the row fails."""
    silent = Check(**{**vars(REGISTRY[id_]), "ask": lambda *_: ()})
    for facts, said in FAULTS[id_]:
        heard = [finding for finding in _ask(REGISTRY[id_], facts) if said in finding.message]
        assert heard
        assert _ask(silent, facts) == []


@pytest.mark.parametrize("check", REGISTRY.values(), ids=list(REGISTRY))
def test_the_same_facts_give_the_same_findings(check):
    for facts, _ in FAULTS[check.id]:
        assert _ask(check, facts) == _ask(check, facts)


# --- what a check says


@pytest.mark.parametrize(("id_", "case"), _table(FAULTS))
def test_no_finding_shows_the_value_of_a_secret(id_, case):
    for finding in _ask(REGISTRY[id_], case[0]):
        assert SECRET not in repr(finding)
        assert SHAPED not in repr(finding)


@pytest.mark.parametrize("check", REGISTRY.values(), ids=list(REGISTRY))
def test_a_check_says_why_it_matters_and_how_to_mend_it(check):
    for text in (check.title, check.why, check.mend, check.reference):
        assert text.strip()
        assert text == text.strip()
    assert not check.title.endswith(".")
    assert "\n" not in check.title
    assert check.id.count(".") == 1
    assert check.id == check.id.lower()


def test_findings_of_content_name_file_layer_and_instruction():
    (finding,) = _ask(REGISTRY["content.toolchain"], holding("usr/bin/gcc"))
    assert finding.file == "/usr/bin/gcc"
    assert finding.layer == "sha256:" + "a" * 64
    assert finding.instruction == "COPY a /"
    (finding,) = _ask(REGISTRY["content.forbidden"], holding("usr/bin/npm"))
    assert (finding.file, finding.instruction) == ("/usr/bin/npm", "COPY a /")


def test_the_size_is_told_against_its_bound_with_the_largest_layer():
    (finding,) = _ask(REGISTRY["size.budget"], _sized(12 * MB))
    assert (finding.measured, finding.bound) == (12 * MB, 10 * MB)
    assert finding.instruction == "COPY a /"


def test_every_missing_thing_is_a_finding_of_its_own():
    needs = terms(labels=["a", "b", TITLE_LABEL], absent=["sh", "npm"])
    assert len(list(REGISTRY["config.labels"].ask(needs, image()))) == 2
    facts = holding("usr/bin/sh", "usr/bin/npm")
    assert len(list(REGISTRY["content.forbidden"].ask(needs, facts))) == 2
    assert len(_ask(REGISTRY["config.ports"], image(ports=("80/tcp",)))) == 3


def test_a_secret_that_a_later_env_overwrites_is_still_in_the_history():
    facts = image(
        environment={"API_TOKEN": ""}, history=(f"ENV API_TOKEN={SECRET}", "ENV API_TOKEN=")
    )
    assert _ask(REGISTRY["secret.history"], facts)


def test_a_secret_of_the_environment_is_told_once_only():
    facts = image(environment={"API_TOKEN": SECRET}, history=(f"ENV API_TOKEN={SECRET}",))
    assert len(_ask(REGISTRY["secret.env"], facts)) == 1
    assert _ask(REGISTRY["secret.history"], facts) == []


# --- what could not be looked at

PROCESSES = ("run.nonroot", "run.capabilities", "run.no-new-privileges")


@pytest.mark.parametrize("id_", PROCESSES)
@pytest.mark.parametrize(
    "facts",
    [
        [],
        [container(processes=None, unknown="no base image")],
        [container(processes=())],
        [container(), container(name="shop-2", processes=None)],
        [container(), container(name="shop-2", processes=())],
    ],
)
def test_processes_that_nobody_saw_are_unknown_and_never_a_pass(id_, facts):
    findings = _ask(REGISTRY[id_], facts)
    assert len(findings) == 1
    assert findings[0].unknown


@pytest.mark.parametrize("id_", PROCESSES)
def test_why_nobody_saw_them_is_told(id_):
    facts = [container(processes=None, unknown="there is no base image")]
    assert _ask(REGISTRY[id_], facts)[0].message == "shop-1: there is no base image"


def test_a_service_without_containers_is_not_healthy():
    findings = _ask(REGISTRY["run.healthy"], [])
    assert [finding.unknown for finding in findings] == [True]


def test_a_program_that_was_not_run_is_unknown():
    findings = _ask(REGISTRY["run.programs"], {})
    assert [finding.unknown for finding in findings] == [True]


def test_a_fault_beside_an_unknown_is_still_found():
    facts = [container(processes=None), *running(uids=(0,) * 4)]
    assert {f.unknown for f in _ask(REGISTRY["run.nonroot"], facts)} == {True, False}


# --- by name


def test_a_check_is_found_by_its_id():
    assert find("size.budget") is REGISTRY["size.budget"]


@pytest.mark.parametrize(
    ("id_", "near"), [("size", "size.budget"), ("secret.envs", "secret.env"), ("zzz", "all: base.")]
)
def test_a_check_that_is_none_is_refused_with_what_is_near_it(id_, near):
    with pytest.raises(UsageError) as caught:
        find(id_)
    assert caught.value.status == 2
    assert near in (caught.value.hint or "")
