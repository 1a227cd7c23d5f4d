"""imageproof.build.bake: a failed build names its instruction, and the machine's own files are found."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from imageproof.build import bake
from imageproof.build.bake import _explaining, build_variables
from imageproof.build.base_image import BaseImage
from imageproof.build.options import Options
from imageproof.build.progress import BuildLog, Vertex
from imageproof.errors import (
    BuildFailed,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    RegistryUnavailable,
    UsageError,
)
from tests.support.sample_facts import contract, service_contract

BASE = BaseImage("base.invalid/python:3", "sha256:" + "b" * 64, "named")
FILES = {
    "BUILD_CA": "SSL_CERT_FILE",
    "BUILD_PIP": "PIP_CONFIG_FILE",
    "BUILD_NPM": "NPM_CONFIG_USERCONFIG",
}


def _fail(
    error: ImageproofError, *vertices: Vertex, words: tuple[str, ...] = ()
) -> ImageproofError:
    """The error that a build ends with when it raised `error` and told these steps."""
    log = BuildLog({vertex.digest: vertex for vertex in vertices}, list(words))
    with pytest.raises(ImageproofError) as caught, _explaining("building api", log):
        raise error
    return caught.value


def _step(*log: str, error: str = "exit code: 1") -> Vertex:
    return Vertex("a", "[api builder 2/3] RUN set -eux;\n    make all", error=error, log=list(log))


BUILD_FAILED = BuildFailed("building api", "failed to solve")


def test_a_failed_step_is_named_with_the_last_lines_that_it_wrote():
    log = [f"line {number}" for number in range(100)]
    error = _fail(BUILD_FAILED, Vertex("0", "[api base 1/1] COPY a b"), _step(*log))
    assert type(error) is BuildFailed
    assert error.cause == "this step failed: [api builder 2/3] RUN set -eux; make all"
    assert error.tail[-2:] == ("line 99", "exit code: 1")
    assert "line 0" not in error.tail
    assert error.__cause__ is BUILD_FAILED


@pytest.mark.parametrize(
    "step",
    [
        _step("OSError: [Errno 28] No space left on device"),
        _step(error="failed to copy: write /x: no space left on device"),
    ],
)
def test_a_full_disk_in_a_step_is_a_lack_of_space(step):
    error = _fail(BUILD_FAILED, step)
    assert type(error) is NoSpace
    assert error.status == 3


@pytest.mark.parametrize(
    "line",
    [
        "E: Could not connect to mirror.invalid:80, connection refused",
        "OSError: [Errno 98] Address already in use",
        "broken pipe",
        "yaml: line 3: did not find expected key",
    ],
)
def test_what_a_program_in_a_step_says_is_not_taken_for_the_engine(line):
    error = _fail(BUILD_FAILED, _step(line))
    assert type(error) is BuildFailed
    assert "RUN set -eux" in error.cause


def test_without_a_failed_step_the_last_words_are_the_cause():
    words = ("#0 starting", "ERROR: failed to read dockerfile", " ", "")
    error = _fail(BUILD_FAILED, words=words)
    assert type(error) is BuildFailed
    assert error.cause == "ERROR: failed to read dockerfile"


def test_the_advice_behind_an_error_is_not_taken_for_it():
    words = ("#0 starting", "ERROR: this is not supported for the docker driver.", "Learn more at")
    error = _fail(BUILD_FAILED, words=words)
    assert error.cause == "ERROR: this is not supported for the docker driver."
    assert error.tail == ("Learn more at",)


def test_a_registry_that_does_not_take_an_image_is_an_error_of_the_machine():
    error = _fail(
        BUILD_FAILED, Vertex("a", "pushing registry.test/a:1 with docker", error="denied")
    )
    assert type(error) is RegistryUnavailable
    assert error.cause == "pushing registry.test/a:1 with docker failed: denied"


def test_words_of_a_lost_engine_are_a_lost_engine():
    error = _fail(BUILD_FAILED, words=("ERROR: Cannot connect to the Docker daemon at tcp://x",))
    assert type(error) is EngineUnavailable


def test_without_any_words_the_cause_stays():
    assert _fail(BUILD_FAILED).cause == "failed to solve"


@pytest.mark.parametrize(
    "error",
    [
        EngineUnavailable("building api", "there is no docker client on PATH", hint="doctor"),
        EngineUnavailable("building api", "the Docker engine does not answer", hint="doctor"),
        NoSpace("building api", "no space is left for the engine", hint="clean"),
    ],
)
def test_an_error_that_has_a_name_already_keeps_it(error):
    found = _fail(error)
    assert type(found) is type(error)
    assert found.hint == error.hint


def test_a_build_that_works_is_left_alone():
    with _explaining("building api", BuildLog()):
        done = True
    assert done


def test_bake_is_given_base_secrets_and_leave_to_read_them(monkeypatch, tmp_path):
    seen = {}

    def bake(targets, **options):
        seen.update(os.environ, targets=targets, folder=Path.cwd(), **options)
        return iter(())

    docker = SimpleNamespace(buildx=SimpleNamespace(bake=bake))
    engine = SimpleNamespace(docker=docker, variables={}, compose_files=(tmp_path / "c.yaml",))
    terms = contract().model_copy(update={"root": tmp_path})
    origin = BaseImage("base.invalid/python:3.11", "sha256:1", "named")
    monkeypatch.setenv("BUILDX_BAKE_ENTITLEMENTS_FS", "1")
    bake.bake(terms, engine, ["shop"], origin, BuildLog(), {"load": True})
    assert seen["load"] is True
    assert seen["targets"] == ["shop"]
    assert seen["folder"] == tmp_path
    assert seen["PYTHON_BASE"] == "base.invalid/python:3.11"
    assert seen["BASE_DIGEST"] == "sha256:1"
    assert seen["BUILDX_BAKE_ENTITLEMENTS_FS"] == "0"
    assert os.environ["BUILDX_BAKE_ENTITLEMENTS_FS"] == "1"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with an empty home, and nothing set."""
    for variable, standard in FILES.items():
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(standard, raising=False)
    monkeypatch.setattr(bake, "CA_BUNDLES", (str(tmp_path / "etc-ca.crt"),))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    real = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda p: tmp_path in p.parents and real(p))
    return tmp_path


def _file(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return str(path)


def test_where_there_are_no_files_the_build_is_given_none(machine):
    found = build_variables(contract(root=machine), BASE)
    assert {found[name] for name in FILES} == {"/dev/null"}


@pytest.mark.parametrize(("variable", "standard"), FILES.items())
def test_a_file_named_by_its_usual_variable_wins(machine, monkeypatch, variable, standard):
    usual = {
        "BUILD_CA": "etc-ca.crt",
        "BUILD_PIP": "home/.config/pip/pip.conf",
        "BUILD_NPM": "home/.npmrc",
    }
    place = _file(machine / usual[variable])
    assert build_variables(contract(root=machine), BASE)[variable] == place
    named = _file(machine / "named")
    monkeypatch.setenv(standard, named)
    assert build_variables(contract(root=machine), BASE)[variable] == named
    monkeypatch.setenv(standard, str(machine / "not there"))
    assert build_variables(contract(root=machine), BASE)[variable] == place


@pytest.mark.parametrize("variable", FILES)
def test_a_variable_that_the_user_set_for_the_build_is_left_as_it_is(
    machine, monkeypatch, variable
):
    monkeypatch.setenv(variable, "/mine")
    found = build_variables(contract(root=machine), BASE)
    assert variable not in found
    assert len(FILES.keys() & found.keys()) == 2


def test_the_base_is_told_by_reference_and_digest_under_the_contracts_name(machine):
    terms = contract(root=machine, base={"variable": "MY_BASE"})
    found = build_variables(terms, BASE)
    assert (found["MY_BASE"], found["BASE_DIGEST"]) == (BASE.reference, BASE.digest)


def test_the_revision_is_empty_outside_git_and_without_git(machine, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(machine.parent))
    assert build_variables(contract(root=machine), BASE)["REVISION"] == ""
    monkeypatch.setenv("PATH", str(machine))
    assert build_variables(contract(root=machine), BASE)["REVISION"] == ""


# --- a build that has nothing to do


class _Engine:
    """An engine whose builds give image after image."""

    compose_files = ()

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made = 0

    def images(self, references: list[str]) -> dict[str, dict[str, str]]:
        return {reference: {"Id": f"sha256:{self.made}"} for reference in references if self.made}

    def compose_model(self, *, interpolate: bool) -> dict[str, object]:
        return {"services": {"api": {"image": "shop/api:1", "build": {"context": str(self.root)}}}}


@pytest.fixture
def building(tmp_path, monkeypatch) -> Callable[..., int]:
    """Build, and tell how many builds there were until now."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    engine = _Engine(tmp_path)
    monkeypatch.setattr(bake.base, "local", lambda *_: BASE)

    def bake(*_: object, **__: object) -> None:
        engine.made += 1

    def once(*, during: Callable[[], object] = lambda: None, **options: object) -> int:
        monkeypatch.setattr(bake, "bake", lambda *a, **k: (bake(*a, **k), during()))
        project = contract(root=tmp_path, images={"api": service_contract(service="api")})
        once.result = bake.build(project, engine, None, Options(**options))
        assert once.result.ids in ({"api": f"sha256:{engine.made}"}, {})
        return engine.made

    once.root, once.engine = tmp_path, engine
    return once


def test_a_build_whose_inputs_did_not_change_is_not_run(building):
    assert [building(), building()] == [1, 1]


def test_a_change_is_built(building):
    building()
    (building.root / "new").write_text("")
    assert [building(), building()] == [2, 2]


def test_without_cache_everything_is_built(building):
    building()
    assert [building(cache=False), building()] == [2, 3]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"cache_from": "type=registry,ref=registry.test/cache"}, "shop/api:1"),
        ({"cache_to": "type=registry,ref=registry.test/cache"}, "shop/api:1"),
        ({"platforms": ("linux/arm64",)}, "shop/api:1"),
        ({"builder": "many", "load": True}, "shop/api:1"),
        ({"builder": "many"}, None),
        ({"push": "registry.test/shop", "tag": "1"}, "docker://registry.test/shop/api:1"),
        ({"output": Path("/tmp/layouts")}, "/tmp/layouts/api"),
    ],
)
def test_what_goes_elsewhere_is_always_built_and_looked_for_there(
    building, monkeypatch, options, place
):
    monkeypatch.setattr(bake.base, "elsewhere", lambda _: BASE)
    building()
    assert [building(**options), building(**options)] == [2, 3]
    assert building.result.references == ({"api": place} if place else {})
    assert bool(building.result.ids) == (place == "shop/api:1")


def test_what_is_pushed_is_called_after_the_commit_unless_it_has_a_tag(building, monkeypatch):
    monkeypatch.setattr(bake, "current_commit", lambda _: "0123456789abcdef")
    building(push="registry.test/shop")
    assert building.result.references == {"api": "docker://registry.test/shop/api:0123456789ab"}
    monkeypatch.setattr(bake, "current_commit", lambda _: "")
    with pytest.raises(UsageError, match="no git repository"):
        building(push="registry.test/shop")


def test_an_image_that_is_not_the_one_that_was_made_is_built_anew(building):
    building()
    building.engine.made = 7
    assert building() == 8
    building.engine.made = 0
    assert building() == 1


def test_what_was_edited_meanwhile_is_not_taken_for_built(building):
    file = building.root / "edited"
    file.write_text("before")
    building(during=lambda: file.write_text("during"))
    file.write_text("before")
    assert building() == 2
