"""Tests of the reasons why a registry cannot be used: each text leads to the hint that cures it."""

from __future__ import annotations

import pytest

from imageproof.docker.errors import translate
from imageproof.docker.registry_errors import registry_error
from imageproof.errors import BuildFailed, RegistryUnavailable, StackFailed

HEAD = 'failed to do request: Head "https://r.test:5000/v2/a/manifests/1": '
SOLVE = "ERROR: failed to solve: r.test:5000/a:1: failed to resolve source metadata for a: "
DAEMON = 'Error response from daemon: Get "https://r.test:5000/v2/": '
# Texts of Docker 20 to 28, BuildKit 0.11 to 0.20 and Python; what the hint says.
TEXTS = [
    (f"{SOLVE}{HEAD}dial tcp: lookup r.test on 192.0.2.53:53: no such host", "DNS"),
    (f"{DAEMON}dial tcp: lookup r.test on 192.0.2.53:53: server misbehaving", "DNS"),
    (f"{DAEMON}dial tcp: lookup r.test: Temporary failure in name resolution", "DNS"),
    ("[Errno -2] Name or service not known", "DNS"),
    (f"{SOLVE}{HEAD}dial tcp 192.0.2.1:5000: connect: connection refused", "registry runs"),
    ("[Errno 111] Connection refused", "registry runs"),
    (f"{SOLVE}{HEAD}dial tcp 192.0.2.1:5000: i/o timeout", "reachable"),
    (f"{SOLVE}{HEAD}net/http: TLS handshake timeout", "reachable"),
    (f"{DAEMON}net/http: request canceled while waiting for connection", "reachable"),
    (f"{DAEMON}context deadline exceeded", "reachable"),
    (f"{DAEMON}dial tcp 192.0.2.1:443: connect: no route to host", "reachable"),
    (f"{DAEMON}proxyconnect tcp: dial tcp 192.0.2.9:3128: i/o timeout", "proxy"),
    ("timed out", "reachable"),
    (f"{DAEMON}x509: certificate signed by unknown authority", "/certs.d/r.test:5000/ca.crt"),
    (f"{SOLVE}{HEAD}tls: failed to verify certificate: x509: cannot validate", "/certs.d/"),
    ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1006)", "/certs.d/"),
    (f"{DAEMON}http: server gave HTTP response to HTTPS client", "insecure-registries"),
    ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "insecure-registries"),
    ("[SSL] record layer failure (_ssl.c:1006)", "insecure-registries"),
    (f"{DAEMON}unauthorized: authentication required", "docker login r.test:5000"),
    (f"{DAEMON}no basic auth credentials", "docker login r.test:5000"),
    ("pull access denied for r.test:5000/a, repository does not exist", "docker login r.test:5000"),
    ("denied: requested access to the resource is denied", "docker login"),
    (f"{HEAD}unexpected status from HEAD request to https://r.test/v2/a: 403 Forbidden", "login"),
    ("failed to authorize: failed to fetch anonymous token: 401 Unauthorized", "docker login"),
    ("toomanyrequests: You have reached your pull rate limit.", "later"),
    (f"{HEAD}unexpected status from HEAD request to https://r.test/v2/a: 429 Too Many Requests",
     "later"),
    (f"{HEAD}unexpected status from GET request to https://r.test/v2/a: 503 Service Unavailable",
     "registry's log"),
    (f"{DAEMON}received unexpected HTTP status: 502 Bad Gateway", "registry's log"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "hint"), TEXTS)
def test_text_leads_to_the_hint_that_cures(text, hint):
    error = registry_error("pulling a", f"first line\n{text}\nlast line")
    assert error is not None
    assert error.status == 3
    assert hint in (error.hint or "")
    assert error.tail == (text,)
    if "r.test:5000" in text:
        assert "r.test" in error.cause


@pytest.mark.parametrize(
    "text",
    [
        "failed to read dockerfile: open Dockerfile: no such file or directory",
        "r.test/a:1: not found",
        "manifest unknown",
        "process /bin/sh did not complete successfully: exit code: 1",
        "permission denied while trying to connect to the docker API at unix:///run/docker.sock",
        "",
    ],
)
def test_other_text_is_no_error_of_a_registry(text):
    assert registry_error("pulling a", text) is None


def test_docker_hub_has_a_login_without_a_host():
    text = 'Get "https://registry-1.docker.io/v2/": unauthorized: incorrect username or password'
    error = registry_error("pulling a", text)
    assert error is not None
    assert "`docker login`" in (error.hint or "")
    assert error.cause == "the registry denies access, or has no such repository"


@pytest.mark.parametrize("fallback", [StackFailed, BuildFailed, RegistryUnavailable])
def test_text_of_the_engine_about_a_registry_is_recognised(fallback):
    error = translate("starting the stack", f"{DAEMON}connection refused", fallback)
    assert type(error) is RegistryUnavailable


def test_text_of_a_program_is_not_read_as_one_of_a_registry():
    error = translate("starting the stack", "logging driver: dial tcp 192.0.2.1:24224: i/o timeout")
    assert type(error) is StackFailed


def test_secret_in_a_text_is_redacted():
    error = registry_error("pulling a", "Get https://me:hunter2@r.test/v2/: no such host")
    assert error is not None
    assert "hunter2" not in str(error.tail) + error.cause
