"""Tests of the cause of a failed build."""

from __future__ import annotations

import pytest

from imageproof.build.failure import explaining_failure
from imageproof.build.progress import BuildLog, Vertex
from imageproof.errors import (
    BuildFailed,
    EngineUnavailable,
    ImageproofError,
    NoSpace,
    RegistryUnavailable,
)

BUILD_FAILED = BuildFailed("building api", "failed to solve")


def _fail(
    error: ImageproofError, *vertices: Vertex, output: tuple[str, ...] = ()
) -> ImageproofError:
    """The error of a build with these steps and buildx output, for `error` from the client."""
    log = BuildLog({vertex.digest: vertex for vertex in vertices}, list(output))
    with pytest.raises(ImageproofError) as caught, explaining_failure("building api", log):
        raise error
    return caught.value


def _step(*log: str, error: str = "exit code: 1") -> Vertex:
    return Vertex("a", "[api builder 2/3] RUN set -eux;\n    make all", error=error, log=list(log))


def test_failed_step_is_named_with_the_last_lines_of_its_log():
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
def test_full_disk_in_a_step_is_an_error_of_the_machine(step):
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
def test_output_of_a_program_in_a_step_is_not_read_as_an_engine_error(line):
    error = _fail(BUILD_FAILED, _step(line))
    assert type(error) is BuildFailed
    assert "RUN set -eux" in error.cause


def test_without_a_failed_step_the_cause_is_buildx_error_line():
    output = ("#0 starting", "ERROR: failed to read dockerfile", " ", "")
    error = _fail(BUILD_FAILED, output=output)
    assert type(error) is BuildFailed
    assert error.cause == "ERROR: failed to read dockerfile"


def test_advice_after_the_error_line_is_not_the_cause():
    cause = "ERROR: this is not supported."
    error = _fail(BUILD_FAILED, output=("#0 starting", cause, "Learn more at"))
    assert (error.cause, error.tail) == (cause, ("Learn more at",))


def test_last_line_is_the_cause_if_no_line_is_an_error():
    error = _fail(BUILD_FAILED, output=("#0 starting", "it broke"))
    assert (error.cause, error.tail) == ("it broke", ("#0 starting",))


def test_rejected_push_is_an_error_of_the_machine():
    step = Vertex("a", "pushing registry.test/a:1 with docker", error="denied")
    error = _fail(BUILD_FAILED, step)
    assert type(error) is RegistryUnavailable
    assert error.cause == "registry.test denies access, or has no such repository"
    assert "`docker login registry.test`" in (error.hint or "")


def test_other_failure_of_a_push_is_an_error_of_the_machine():
    step = Vertex("a", "pushing registry.test/a:1 with docker", error="it broke")
    error = _fail(BUILD_FAILED, step)
    assert type(error) is RegistryUnavailable
    assert error.cause == "pushing registry.test/a:1 with docker failed: it broke"


UNREACHABLE = (
    'failed to do request: Head "https://r.test/v2/a": dial tcp 192.0.2.1:443: i/o timeout'
)


@pytest.mark.parametrize(
    "name",
    [
        "[internal] load metadata for r.test/a:1",
        "[api base 1/5] FROM r.test/a:1@sha256:0",
        "resolve image config for docker-image://r.test/dockerfile:1",
        "importing cache manifest from r.test/cache:api",
    ],
)
def test_step_of_buildkit_that_cannot_reach_a_registry_is_an_error_of_the_machine(name):
    error = _fail(BUILD_FAILED, Vertex("a", name, error=UNREACHABLE))
    assert type(error) is RegistryUnavailable
    assert error.cause == "r.test does not answer"
    assert error.tail == (UNREACHABLE,)


@pytest.mark.parametrize("name", ["[api 2/3] RUN pip install x", "[api 2/3] COPY --from=x a b"])
def test_step_of_the_dockerfile_with_such_a_text_is_a_failed_build(name):
    assert type(_fail(BUILD_FAILED, Vertex("a", name, error=UNREACHABLE))) is BuildFailed


def test_missing_image_is_a_failed_build_with_its_own_hint():
    error = _fail(
        BUILD_FAILED,
        Vertex("a", "[internal] load metadata for r.test/a:9", error="r.test/a:9: not found"),
    )
    assert type(error) is BuildFailed
    assert "correct the reference" in (error.hint or "")


def test_lost_engine_is_recognised_in_the_output():
    error = _fail(BUILD_FAILED, output=("ERROR: Cannot connect to the Docker daemon at tcp://x",))
    assert type(error) is EngineUnavailable


def test_without_output_the_client_error_stays():
    assert _fail(BUILD_FAILED).cause == "failed to solve"


@pytest.mark.parametrize(
    "error",
    [
        EngineUnavailable("building api", "there is no docker client on PATH", hint="doctor"),
        EngineUnavailable("building api", "the Docker engine does not answer", hint="doctor"),
        NoSpace("building api", "no space is left on the engine's disk", hint="clean"),
    ],
)
def test_specific_error_stays(error):
    result = _fail(error)
    assert type(result) is type(error)
    assert result.hint == error.hint
