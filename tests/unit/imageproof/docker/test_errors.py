"""Tests of error translation: client output becomes a project error, without the command line."""

from __future__ import annotations

import pytest
from python_on_whales import DockerException
from python_on_whales.client_config import ClientNotFoundError

from imageproof.docker.errors import translate, translating
from imageproof.errors import (
    BuildFailed,
    ConfigurationError,
    EngineUnavailable,
    NoSpace,
    PortTaken,
    RegistryUnavailable,
    StackFailed,
)

NO_DAEMON = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?"
)
LOST_DAEMON = (
    "ERROR: failed to receive status: rpc error: code = Unavailable desc = "
    "error reading from server: EOF"
)
OLD_PORT = (
    "Error response from daemon: driver failed programming external connectivity on "
    "endpoint shop-1 (0a1b): Bind for 127.0.0.1:8000 failed: port is already allocated"
)
NEW_PORT = (  # from engine 28 on
    "Error response from daemon: failed to set up container networking: driver failed "
    "programming external connectivity: listen tcp4 127.0.0.1:8000: bind: address already in use"
)


@pytest.mark.parametrize(
    ("output", "error_class"),
    [
        (NO_DAEMON, EngineUnavailable),
        (
            'error during connect: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.47/info": EOF',
            EngineUnavailable,
        ),
        ("dial unix /var/run/docker.sock: connect: permission denied", EngineUnavailable),
        (LOST_DAEMON, EngineUnavailable),
        ("rpc error: code = Unknown desc = The swarm does not have a leader.", EngineUnavailable),
        (
            "write /var/lib/docker/tmp/GetImageBlob1: no space left on device",
            NoSpace,
        ),
        ("failed to copy files: userspace copy failed: Disk quota exceeded", NoSpace),
        (OLD_PORT, PortTaken),
        (NEW_PORT, PortTaken),
        (
            'failed to read /x/.env: line 1: unexpected character "!" in variable name "A!B"',
            ConfigurationError,
        ),
        ("yaml: line 3: did not find expected key", ConfigurationError),
        (
            "validating /x/compose.yaml: services.api additional properties 'imgae' not allowed",
            ConfigurationError,
        ),
        (
            'invalid interpolation format for services.api.image: "${X". You may need to escape',
            ConfigurationError,
        ),
        ('service "api" refers to undefined network back: invalid', ConfigurationError),
        ("invalid hostPort: eighty", ConfigurationError),
        ("pull access denied for shop, repository does not exist", RegistryUnavailable),
        ("", BuildFailed),
    ],
)
def test_engine_output_selects_the_error(output, error_class):
    error = translate("pulling shop:1", output, BuildFailed, "try again")
    assert type(error) is error_class
    assert error.action == "pulling shop:1"
    assert error.hint


@pytest.mark.parametrize(
    ("output", "port"),
    [
        ("Bind for 127.0.0.1:8000 failed: port is already allocated", "port 8000"),
        ("Bind for 0.0.0.0:80 failed: port is already allocated", "port 80"),
        ("listen tcp4 127.0.0.1:8000: bind: address already in use", "port 8000"),
        ("listen tcp6 [::1]:65535: bind: address already in use", "port 65535"),
        (
            "failed to bind host port 127.0.0.1:8000/tcp: address already in use",
            "port 8000",
        ),
        ("address already in use", "a port"),
    ],
)
def test_port_in_use_is_named(output, port):
    error = translate("starting the stack", output)
    assert isinstance(error, PortTaken)
    assert error.cause.startswith(f"{port} ")


def test_timestamp_in_a_warning_is_not_read_as_the_port():
    """Compose writes such warnings before the error."""
    warning = 'time="2026-01-02T07:13:41Z" level=warning msg="The \\"X\\" variable is not set"\n'
    error = translate("up", warning + "Bind for 127.0.0.1:8000 failed: port is already allocated")
    assert error.cause.startswith("port 8000 ")


def test_last_line_of_unknown_output_is_the_cause_and_the_rest_is_the_tail():
    error = translate("up", "one\n\n  two  \nthree\n", StackFailed, "look")
    assert type(error) is StackFailed
    assert (error.cause, error.tail, error.hint) == ("three", ("one", "  two"), "look")


@pytest.mark.parametrize("advice", ["Run 'docker run --help' for more", "See 'docker cp --help'."])
def test_help_line_of_the_client_is_not_the_cause(advice):
    assert translate("starting", f"docker: no such image\n\n{advice}\n").cause == (
        "docker: no such image"
    )


def test_empty_output_has_a_cause():
    assert translate("up", " \n").cause == "the engine gave no reason"


@pytest.mark.parametrize("output", [b"it broke", b"no space left on device", b"", None])
def test_error_does_not_show_the_command_line(output):
    """str(DockerException) contains it, with its build arguments."""
    secret = "ghp_" + "x" * 36
    with pytest.raises((StackFailed, NoSpace)) as caught, translating("building"):
        raise DockerException(["docker", "build", "--build-arg", f"T={secret}"], 1, None, output)
    error = caught.value
    assert secret in str(error.__cause__)
    assert secret not in " ".join([str(error), error.action, *error.tail, str(error.hint)])
    assert "build-arg" not in " ".join([str(error), *error.tail])


def test_missing_client_is_an_unavailable_engine():
    with pytest.raises(EngineUnavailable, match="no docker client"), translating("inspecting shop"):
        raise ClientNotFoundError("none")


def test_other_exceptions_are_not_translated():
    with pytest.raises(KeyError), translating("inspecting shop"):
        raise KeyError("State")
