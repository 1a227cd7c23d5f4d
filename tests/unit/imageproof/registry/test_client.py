"""imageproof.registry.client: what it reads has the digest that it asked by, and no credential strays."""

from __future__ import annotations

import base64
import json

import pytest

from imageproof.errors import ImageproofError, RegistryUnavailable, StackFailed
from imageproof.registry import transport
from imageproof.registry.client import Descriptor, Manifest, Registry
from tests.support.archives import LAYERS, digest
from tests.support.registry_server import MANIFEST, PASSWORD, TOKEN, USER, serving

BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Nobody is logged in anywhere."""
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


def test_a_manifest_is_read_byte_for_byte_by_tag_and_by_digest(fake, registry):
    found = registry.manifest("gate/api", "1")
    assert found.raw == fake.manifests["gate/api", "1"][1]
    assert (found.media_type, found.is_index) == (MANIFEST, False)
    assert registry.manifest("gate/api", found.digest) == found
    assert registry.manifest("gate/api", "2") is None


def test_a_blob_is_read_to_its_end_and_known_to_be_there(fake, registry):
    blob = blob_of(fake, b"x" * 1_000_000)
    assert read(registry, blob) == b"x" * 1_000_000
    assert registry.has("gate/api", blob.digest)
    assert not registry.has("gate/api", digest(b"other"))


@pytest.mark.parametrize("stored", [b"other bits", b"some byte", b"some bytes!", b""], ids=len)
def test_a_blob_that_is_not_what_it_is_named_by_is_refused(fake, registry, stored):
    blob = blob_of(fake)
    fake.blobs[blob.digest] = stored
    with pytest.raises(StackFailed):
        read(registry, blob)


def test_a_manifest_that_is_not_what_it_is_named_by_is_refused(fake, registry):
    wanted = digest(fake.manifests["gate/api", "1"][1])
    kind, raw = fake.manifests["gate/api", "1"]
    fake.manifests["gate/api", wanted] = (kind, raw + b" ")
    with pytest.raises(StackFailed, match="is damaged"):
        registry.manifest("gate/api", wanted)


def test_the_digest_that_a_registry_states_must_be_true(fake, registry):
    def lie(handler, told):
        kind, raw = fake.manifests["gate/api", "1"]
        handler.answer(200, raw, Content_Type=kind, Docker_Content_Digest=digest(b"another"))
        return True

    fake.before = lie
    with pytest.raises(StackFailed, match="is damaged"):
        registry.manifest("gate/api", "1")


@pytest.mark.parametrize(
    ("raw", "kind"),
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
def test_what_is_no_manifest_is_refused(fake, registry, raw, kind):
    fake.put("gate/api", "1", raw, kind)
    with pytest.raises(StackFailed):
        registry.manifest("gate/api", "1")


def test_more_bytes_than_there_may_be_are_not_read(fake, registry):
    fake.put("gate/api", "1", b"{}" + b" " * 5_000_000, MANIFEST)
    with pytest.raises(StackFailed, match="has more than 4,194,304 bytes"):
        registry.manifest("gate/api", "1")
    blob = blob_of(fake)
    fake.blobs[blob.digest] = b"some bytes" * 100_000
    with pytest.raises(StackFailed, match="has more than 10 bytes"):
        read(registry, blob)


def test_a_token_is_asked_for_once_for_each_thing_that_it_is_for(fake, registry):
    fake.auth = "bearer"
    blob = blob_of(fake)
    registry.manifest("gate/api", "1")
    read(registry, blob)
    (asked,) = [told for told in fake.told if told.path == "/token"]
    assert asked.query == {"service": ["the-registry"], "scope": ["repository:gate/api:pull"]}
    assert asked.authorization is None
    registry.has("gate/api", blob.digest)
    asked = [told.query["scope"] for told in fake.told if told.path == "/token"]
    assert asked[1:] == [["repository:gate/api:pull,push"]]


def test_a_token_that_has_ended_is_asked_for_again(fake, registry):
    fake.auth = "bearer"
    registry.manifest("gate/api", "1")
    registry._authorization._headers = dict.fromkeys(registry._authorization._headers, "Bearer old")
    assert registry.manifest("gate/api", "1")


def test_who_is_logged_in_shows_the_password_where_tokens_are_given_and_nowhere_else(
    fake, registry, folder
):
    login(folder, fake.host)
    fake.auth = "bearer"
    registry.manifest("gate/api", "1")
    assert [told.authorization for told in fake.told] == [None, BASIC, f"Bearer {TOKEN}"]


def test_an_identity_token_is_sent_in_a_form(fake, registry, folder):
    login(folder, fake.host, identitytoken="identity-of-a-test")
    fake.auth = "bearer"
    registry.manifest("gate/api", "1")
    assert b"refresh_token=identity-of-a-test" in fake.told[1].body
    assert (fake.told[1].method, fake.told[1].authorization) == ("POST", None)


def test_a_password_is_shown_to_whom_it_belongs_alone(fake, registry, folder):
    fake.auth = "basic"
    login(folder, "registry.test")
    with pytest.raises(RegistryUnavailable, match="401") as caught:
        registry.manifest("gate/api", "1")
    assert "docker login" in (caught.value.hint or "")
    assert [told.authorization for told in fake.told] == [None]
    login(folder, fake.host)
    assert registry.manifest("gate/api", "1")
    assert fake.told[-1].authorization == BASIC


@pytest.mark.parametrize("realm", ["http://tokens.test/token", "ftp://x.test", "/relative", "x"])
def test_a_password_is_sent_nowhere_where_it_can_be_overheard(fake, registry, folder, realm):
    login(folder, fake.host)
    fake.auth, fake.realm = "bearer", realm
    with pytest.raises(RegistryUnavailable, match="can be overheard"):
        registry.manifest("gate/api", "1")
    assert not any(told.authorization for told in fake.told)


def test_an_address_that_is_none_is_an_error_of_the_registry(fake, registry):
    fake.auth, fake.realm = "bearer", "https://tokens.test:port/"
    with pytest.raises(RegistryUnavailable, match="does not answer as it should"):
        registry.manifest("gate/api", "1")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b'{"token": 7}', b'{"token": "a\\nb"}', b"x" * 100_000]
)
def test_what_is_no_token_is_refused_and_not_shown(fake, registry, body):
    fake.auth = "bearer"
    fake.before = lambda h, told: told.path == "/token" and (h.answer(200, body) or True)
    with pytest.raises(ImageproofError) as caught:
        registry.manifest("gate/api", "1")
    assert caught.value.__cause__ is None


def test_a_redirect_is_followed_without_the_credentials(fake, registry):
    blob = blob_of(fake)
    with serving() as storage:
        storage.put_blob(b"some bytes")
        fake.auth = "bearer"

        def away(handler, told):
            if "/blobs/" in told.path and told.authorization:
                handler.answer(307, Location=f"http://{storage.host}{told.path}?signature=x")
                return True
            return False

        fake.before = away
        assert read(registry, blob) == b"some bytes"
        assert registry.has("gate/api", blob.digest)
    assert [told.authorization for told in storage.told] == [None, None]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_where_a_redirect_leads_nobody_is_told_who_asks(fake, registry, folder, auth):
    login(folder, fake.host)
    blob = blob_of(fake)
    with serving(auth=auth) as storage:
        fake.before = lambda h, told: (
            h.answer(307, Location=f"http://{storage.host}{told.path}") or True
        )
        with pytest.raises(RegistryUnavailable, match="401"):
            read(registry, blob)
    assert [(told.path, told.authorization) for told in storage.told] == [
        (f"/v2/gate/api/blobs/{blob.digest}", None)
    ]


@pytest.mark.parametrize(
    "place", ["http://elsewhere.test/x", "file:///etc/passwd", "ftp://elsewhere.test", "http://["]
)
def test_no_redirect_leads_to_where_nothing_is_encrypted(fake, registry, place):
    fake.before = lambda h, told: h.answer(307, Location=place) or True
    with pytest.raises(RegistryUnavailable) as caught:
        read(registry, blob_of(fake))
    assert "x?" not in str(caught.value)


def test_redirects_in_a_circle_end(fake, registry):
    fake.before = lambda h, told: h.answer(307, Location=told.path) or True
    with pytest.raises(RegistryUnavailable, match="redirects more than"):
        registry.manifest("gate/api", "1")
    assert len(fake.told) < 10


@pytest.mark.parametrize("status", [400, 403, 405, 429, 500, 503])
def test_an_answer_that_is_none_is_told_in_the_registrys_words(fake, registry, status):
    fake.before = lambda h, told: h.refuse(status, "DENIED") or True
    with pytest.raises(RegistryUnavailable, match=f"{status} .*DENIED so it is") as caught:
        registry.manifest("gate/api", "1")
    assert caught.value.status == 3


def test_a_blob_that_is_cut_off_is_an_error_of_the_machine(fake, registry):
    def cut(handler, told):
        handler.answer(200, b"some", Content_Length="10")
        handler.close_connection = True
        return True

    fake.before = cut
    with pytest.raises(RegistryUnavailable, match="does not answer as it should"):
        read(registry, blob_of(fake))


def test_a_blob_that_comes_too_slowly_is_given_up(fake, registry, monkeypatch):
    monkeypatch.setattr(transport, "SECONDS", -1)
    with pytest.raises(RegistryUnavailable, match="too slowly"):
        read(registry, blob_of(fake))


def test_a_registry_that_is_not_there_is_an_error_of_the_machine(folder):
    with serving() as fake:
        host = fake.host
    with Registry(host) as registry, pytest.raises(RegistryUnavailable, match="Connection refused"):
        registry.manifest("gate/api", "1")


def test_no_secret_and_no_control_character_comes_into_an_error(fake, registry, folder):
    login(folder, fake.host)
    fake.auth = "basic"
    password = "API_TOKEN=hunter2-hunter2"
    body = {"errors": [{"code": "NO\x1b[31m", "message": f"{password} https://x.test/?s={TOKEN}"}]}
    fake.before = lambda h, told: (
        bool(told.authorization) and (h.answer(403, json.dumps(body).encode()) or True)
    )
    with pytest.raises(RegistryUnavailable) as caught:
        registry.manifest("gate/api", "1")
    said = f"{caught.value} {caught.value.hint} {caught.value.tail}"
    for word in ("hunter2", TOKEN, PASSWORD, BASIC.partition(" ")[2], "\x1b"):
        assert word not in said
    assert "NO" in said


def test_nobodys_password_is_in_what_python_shows_of_it(folder):
    from imageproof.registry.credentials import Credentials

    assert PASSWORD not in repr(Credentials(USER, PASSWORD, PASSWORD))


def test_what_is_written_is_there_and_is_what_it_was(fake, registry):
    content = b"y" * 700_000
    blob = Descriptor(digest(content), len(content))
    registry.upload("other/api", blob, iter([content[:9], content[9:]]))
    assert fake.blobs[blob.digest] == content
    assert fake.told[-1].query == {"state": ["kept"], "digest": [blob.digest]}
    manifest = Manifest(MANIFEST, b'{"mediaType": "%s"}' % MANIFEST.encode())
    registry.put("other/api", "2", manifest)
    assert registry.manifest("other/api", "2") == manifest


def test_an_upload_goes_nowhere_where_it_can_be_overheard(fake, registry):
    fake.before = lambda h, told: h.answer(202, Location="http://elsewhere.test/upload") or True
    with pytest.raises(RegistryUnavailable, match="without encryption"):
        registry.upload("other/api", Descriptor(digest(b""), 0), iter([]))


def test_a_registry_that_makes_another_manifest_of_it_is_found_out(fake, registry):
    fake.before = lambda h, told: h.answer(201, Docker_Content_Digest=digest(b"another")) or True
    with pytest.raises(StackFailed, match="is damaged"):
        registry.put("gate/api", "3", Manifest(MANIFEST, b"{}"))
