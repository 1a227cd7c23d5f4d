"""Tests of encryption and certificates towards a registry."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from imageproof.errors import RegistryUnavailable
from imageproof.registry import transport
from imageproof.registry.client import Registry
from tests.support.archives import LAYERS
from tests.support.registry_server import serving


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        ("registry.test", "https"),
        ("registry.test:5000", "https"),
        ("127.0.0.1:5000", "http"),
        ("127.3.2.1", "http"),
        ("localhost:5000", "http"),
        ("[::1]:5000", "http"),
        ("[::1]", "http"),
        ("[2001:db8::1]:5000", "https"),
        ("10.0.0.1:5000", "https"),
        ("localhost.test:5000", "https"),
    ],
)
def test_plain_http_is_used_for_the_loopback_only(host, scheme):
    assert transport.scheme(host) == scheme


def test_loopback_uses_https_if_the_engine_has_a_certificate_for_it(monkeypatch, tmp_path):
    monkeypatch.setattr(transport, "CERTIFICATES", tmp_path)
    (tmp_path / "localhost:5000").mkdir()
    assert transport.scheme("localhost:5000") == "https"
    (tmp_path / "localhost:5000/ca.crt").write_text("no certificate")
    with pytest.raises(RegistryUnavailable, match="reading the certificates"):
        Registry("localhost:5000")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for the loopback address, with its key."""
    path = tmp_path_factory.mktemp("certificate") / "own.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = ["-subj", "/CN=a-test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run([*command.split(), *subject, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_https_trusts_the_engines_certificate_for_that_host_only(
    monkeypatch, tmp_path, certificate
):
    monkeypatch.setattr(transport, "CERTIFICATES", tmp_path)
    with serving(certificate) as fake:
        fake.put_image("gate/api", "1", LAYERS)
        (tmp_path / fake.host).mkdir()
        untrusted = pytest.raises(RegistryUnavailable, match="certificate")
        with Registry(fake.host) as registry, untrusted:
            registry.manifest("gate/api", "1")
        shutil.copy(f"{certificate}.crt", tmp_path / fake.host / "ca.crt")
        with Registry(fake.host) as registry:
            assert registry.manifest("gate/api", "1")
