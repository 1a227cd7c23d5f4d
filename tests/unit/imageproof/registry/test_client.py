"""Tests of the registry client: verified digests, limits, and where credentials go."""

from __future__ import annotations

import base64
import json

import pytest

from imageproof.errors import ImageDamaged, ImageproofError, RegistryUnavailable
from imageproof.registry import transport
from imageproof.registry.client import Registry
from imageproof.registry.manifest import Descriptor, Manifest
from tests.support.archives import LAYERS, digest
from tests.support.registry_server import MANIFEST, PASSWORD, TOKEN, USER, serving

BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """An empty folder of Docker's client: no credentials."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def login(folder, host: str, **entry: str) -> None:
    entry = entry or {"auth": BASIC.partition(" ")[2]}
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))


@pytest.fixture
def fake():
    with serving() as fake:
        fake.put_image("gate/api", "1", LAYERS)
        yield fake


@pytest.fixture
def registry(fake):
    with Registry(fake.host) as registry:
        yield registry


def blob_of(fake, content: bytes = b"some bytes") -> Descriptor:
    return Descriptor(**fake.put_blob(content))


def read(registry, blob: Descriptor) -> bytes:
    return b"".join(registry.blob("gate/api", blob))


def test_manifest_is_read_byte_for_byte_by_tag_and_by_digest(fake, registry):
    manifest = registry.manifest("gate/api", "1")
    assert manifest.raw == fake.manifests["gate/api", "1"][1]
    assert (manifest.media_type, manifest.is_index) == (MANIFEST, False)
    assert registry.manifest("gate/api", manifest.digest) == manifest
    assert registry.manifest("gate/api", "2") is None


def test_blob_is_read_whole_and_reported_as_present(fake, registry):
    blob = blob_of(fake, b"x" * 1_000_000)
    assert read(registry, blob) == b"x" * 1_000_000
    assert registry.has_blob("gate/api", blob.digest)
    assert not registry.has_blob("gate/api", digest(b"other"))


@pytest.mark.parametrize("stored", [b"other bits", b"some byte", b"some bytes!", b""], ids=len)
def test_blob_with_another_content_than_its_digest_is_refused(fake, registry, stored):
    blob = blob_of(fake)
    fake.blobs[blob.digest] = stored
    with pytest.raises(ImageDamaged):
        read(registry, blob)


def test_manifest_with_another_content_than_its_digest_is_refused(fake, registry):
    wanted = digest(fake.manifests["gate/api", "1"][1])
    media_type, raw = fake.manifests["gate/api", "1"]
    fake.manifests["gate/api", wanted] = (media_type, raw + b" ")
    with pytest.raises(ImageDamaged, match="is damaged"):
        registry.manifest("gate/api", wanted)


def test_stated_digest_must_match_the_content(fake, registry):
    def state_wrong_digest(handler, request):
        media_type, raw = fake.manifests["gate/api", "1"]
        handler.respond(200, raw, Content_Type=media_type, Docker_Content_Digest=digest(b"another"))
        return True

    fake.intercept = state_wrong_digest
    with pytest.raises(ImageDamaged, match="is damaged"):
        registry.manifest("gate/api", "1")


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (b"{", MANIFEST),
        (b"[]", MANIFEST),
        (b"[" * 100_000, MANIFEST),
        (b"{}", "text/html"),
        (b"{}", "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (b'{"mediaType": "application/vnd.oci.image.index.v1+json"}', MANIFEST),
    ],
    ids=range(6),
)
def test_invalid_manifest_is_refused(fake, registry, raw, media_type):
    fake.put_manifest("gate/api", "1", raw, media_type)
    with pytest.raises(ImageDamaged):
        registry.manifest("gate/api", "1")


def test_oversized_manifest_and_blob_are_refused(fake, registry):
    fake.put_manifest("gate/api", "1", b"{}" + b" " * 5_000_000, MANIFEST)
    with pytest.raises(ImageDamaged, match="has more than 4,194,304 bytes"):
        registry.manifest("gate/api", "1")
    blob = blob_of(fake)
    fake.blobs[blob.digest] = b"some bytes" * 100_000
    with pytest.raises(ImageDamaged, match="has more than 10 bytes"):
        read(registry, blob)


def test_token_is_requested_once_per_scope(fake, registry):
    fake.auth = "bearer"
    blob = blob_of(fake)
    registry.manifest("gate/api", "1")
    read(registry, blob)
    (token_request,) = [request for request in fake.requests if request.path == "/token"]
    assert token_request.query == {
        "service": ["the-registry"],
        "scope": ["repository:gate/api:pull"],
    }
    assert token_request.authorization is None
    registry.has_blob("gate/api", blob.digest)
    scopes = [request.query["scope"] for request in fake.requests if request.path == "/token"]
    assert scopes[1:] == [["repository:gate/api:pull,push"]]


def test_expired_token_is_requested_again(fake, registry):
    fake.auth = "bearer"
    registry.manifest("gate/api", "1")
    registry._authorization._headers = dict.fromkeys(registry._authorization._headers, "Bearer old")
    assert registry.manifest("gate/api", "1")


def test_password_is_sent_to_the_token_service_only(fake, registry, folder):
    login(folder, fake.host)
    fake.auth = "bearer"
    registry.manifest("gate/api", "1")
    assert [request.authorization for request in fake.requests] == [None, BASIC, f"Bearer {TOKEN}"]


def test_identity_token_is_sent_in_a_form(fake, registry, folder):
    login(folder, fake.host, identitytoken="identity-of-a-test")
    fake.auth = "bearer"
    registry.manifest("gate/api", "1")
    assert b"refresh_token=identity-of-a-test" in fake.requests[1].body
    assert (fake.requests[1].method, fake.requests[1].authorization) == ("POST", None)


def test_password_is_sent_to_its_own_registry_only(fake, registry, folder):
    fake.auth = "basic"
    login(folder, "registry.test")
    with pytest.raises(RegistryUnavailable, match="401") as caught:
        registry.manifest("gate/api", "1")
    assert "docker login" in (caught.value.hint or "")
    assert [request.authorization for request in fake.requests] == [None]
    login(folder, fake.host)
    assert registry.manifest("gate/api", "1")
    assert fake.requests[-1].authorization == BASIC


@pytest.mark.parametrize("realm", ["http://tokens.test/token", "ftp://x.test", "/relative", "x"])
def test_password_is_never_sent_unencrypted(fake, registry, folder, realm):
    login(folder, fake.host)
    fake.auth, fake.realm = "bearer", realm
    with pytest.raises(RegistryUnavailable, match="requests the password over an unencrypted"):
        registry.manifest("gate/api", "1")
    assert not any(request.authorization for request in fake.requests)


def test_invalid_realm_is_an_error_of_the_registry(fake, registry):
    fake.auth, fake.realm = "bearer", "https://tokens.test:port/"
    with pytest.raises(RegistryUnavailable, match="no valid answer from"):
        registry.manifest("gate/api", "1")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b'{"token": 7}', b'{"token": "a\\nb"}', b"x" * 100_000]
)
def test_invalid_token_is_refused_and_not_shown(fake, registry, body):
    fake.auth = "bearer"
    fake.intercept = lambda handler, request: (
        request.path == "/token" and handler.respond(200, body)
    )
    with pytest.raises(ImageproofError) as caught:
        registry.manifest("gate/api", "1")
    assert caught.value.__cause__ is None


def test_redirect_is_followed_without_credentials(fake, registry):
    blob = blob_of(fake)
    with serving() as storage:
        storage.put_blob(b"some bytes")
        fake.auth = "bearer"

        def redirect(handler, request):
            if "/blobs/" in request.path and request.authorization:
                handler.respond(307, Location=f"http://{storage.host}{request.path}?signature=x")
                return True
            return False

        fake.intercept = redirect
        assert read(registry, blob) == b"some bytes"
        assert registry.has_blob("gate/api", blob.digest)
    assert [request.authorization for request in storage.requests] == [None, None]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_redirect_target_gets_no_credentials_even_on_401(fake, registry, folder, auth):
    login(folder, fake.host)
    blob = blob_of(fake)
    with serving(auth=auth) as storage:
        fake.intercept = lambda handler, request: handler.respond(
            307, Location=f"http://{storage.host}{request.path}"
        )
        with pytest.raises(RegistryUnavailable, match="401"):
            read(registry, blob)
    assert [(request.path, request.authorization) for request in storage.requests] == [
        (f"/v2/gate/api/blobs/{blob.digest}", None)
    ]


@pytest.mark.parametrize(
    "location",
    ["http://elsewhere.test/x", "file:///etc/passwd", "ftp://elsewhere.test", "http://["],
)
def test_redirect_to_an_unencrypted_url_is_refused(fake, registry, location):
    fake.intercept = lambda handler, request: handler.respond(307, Location=location)
    with pytest.raises(RegistryUnavailable) as caught:
        read(registry, blob_of(fake))
    assert "/x" not in str(caught.value)  # a redirect may be signed


def test_redirect_loop_is_refused(fake, registry):
    fake.intercept = lambda handler, request: handler.respond(307, Location=request.path)
    with pytest.raises(RegistryUnavailable, match="redirects more than"):
        registry.manifest("gate/api", "1")
    assert len(fake.requests) < 10


@pytest.mark.parametrize("status", [400, 403, 405, 429, 500, 503])
def test_error_response_is_reported_with_the_registrys_message(fake, registry, status):
    fake.intercept = lambda handler, request: handler.refuse(status, "DENIED")
    with pytest.raises(RegistryUnavailable, match=f"{status} .*DENIED fake message") as caught:
        registry.manifest("gate/api", "1")
    assert caught.value.status == 3


def test_truncated_blob_is_a_machine_error(fake, registry):
    def cut(handler, request):
        handler.respond(200, b"some", Content_Length="10")
        handler.close_connection = True
        return True

    fake.intercept = cut
    with pytest.raises(RegistryUnavailable, match="no valid answer from"):
        read(registry, blob_of(fake))


def test_slow_blob_is_aborted(fake, registry, monkeypatch):
    monkeypatch.setattr(transport, "BASE_SECONDS", -1)
    with pytest.raises(RegistryUnavailable, match="too slowly"):
        read(registry, blob_of(fake))


def test_unreachable_registry_is_a_machine_error(folder):
    with serving() as fake:
        host = fake.host
    with Registry(host) as registry, pytest.raises(RegistryUnavailable, match="no program answers"):
        registry.manifest("gate/api", "1")


def test_errors_contain_no_secret_and_no_control_character(fake, registry, folder):
    login(folder, fake.host)
    fake.auth = "basic"
    password = "API_TOKEN=hunter2-hunter2"
    body = {"errors": [{"code": "NO\x1b[31m", "message": f"{password} https://x.test/?s={TOKEN}"}]}
    fake.intercept = lambda handler, request: (
        bool(request.authorization) and handler.respond(403, json.dumps(body).encode())
    )
    with pytest.raises(RegistryUnavailable) as caught:
        registry.manifest("gate/api", "1")
    shown = f"{caught.value} {caught.value.hint} {caught.value.tail}"
    for word in ("hunter2", TOKEN, PASSWORD, BASIC.partition(" ")[2], "\x1b"):
        assert word not in shown
    assert "NO" in shown


def test_uploaded_blob_and_manifest_are_stored_unchanged(fake, registry):
    content = b"y" * 700_000
    blob = Descriptor(digest(content), len(content))
    registry.upload_blob("other/api", blob, iter([content[:9], content[9:]]))
    assert fake.blobs[blob.digest] == content
    assert fake.requests[-1].query == {"state": ["opened"], "digest": [blob.digest]}
    manifest = Manifest(MANIFEST, b'{"mediaType": "%s"}' % MANIFEST.encode())
    registry.put_manifest("other/api", "2", manifest)
    assert registry.manifest("other/api", "2") == manifest


def test_upload_to_an_unencrypted_url_is_refused(fake, registry):
    fake.intercept = lambda handler, request: handler.respond(
        202, Location="http://elsewhere.test/upload"
    )
    with pytest.raises(RegistryUnavailable, match="without encryption"):
        registry.upload_blob("other/api", Descriptor(digest(b""), 0), iter([]))


def test_manifest_stored_under_another_digest_is_an_error(fake, registry):
    fake.intercept = lambda handler, request: handler.respond(
        201, Docker_Content_Digest=digest(b"another")
    )
    with pytest.raises(ImageDamaged, match="is damaged"):
        registry.put_manifest("gate/api", "3", Manifest(MANIFEST, b"{}"))
