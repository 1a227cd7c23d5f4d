"""Secret candidates: secrets are found, examples are not."""

from __future__ import annotations

import base64
import random
import time

import pytest

from imageproof.image import secret_candidates
from imageproof.image.secret_candidates import FileScan, SecretSearch
from imageproof.redaction import SECRET_FORMATS

BODY = base64.b64encode(random.Random(1).randbytes(600)).decode()
LINES = "\n".join(BODY[at : at + 64] for at in range(0, len(BODY), 64))
BEGIN, END = "-----BEGIN RSA PRIVATE" + " KEY-----", "-----END RSA PRIVATE" + " KEY-----"
KEY = f"{BEGIN}\n{LINES}\n{END}\n"
SECRET = "Xk3" * 14


def _rules(path: str, *chunks: bytes | str) -> list[str]:
    scan = FileScan(path)
    for chunk in chunks:
        scan.feed(chunk.encode() if isinstance(chunk, str) else chunk)
    return [candidate.rule for candidate in scan.candidates()]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (KEY, "private key"),
        (KEY.replace("RSA ", ""), "private key"),
        (KEY.replace("RSA ", "OPENSSH "), "private key"),
        (KEY.replace(BEGIN, f"{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n"), "private key"),
        ('{"key": "' + KEY.replace("\n", "\\n") + '"}', "private key"),
        ("key = AKIA" + "Q7WZ" * 4, "AWS access key"),
        ("gh" + "p_" + SECRET, "GitHub token"),
        ("github_" + "pat_" + SECRET, "GitHub token"),
        ("glpat" + "-" + SECRET, "GitLab token"),
        ("np" + "m_" + SECRET, "npm token"),
        ("pypi" + "-" + SECRET, "PyPI token"),
        ("xox" + "b-" + SECRET, "Slack token"),
        ("sk" + "-ant-" + SECRET, "LLM provider key"),
        ("ey" + "J" + f"{SECRET}.{SECRET}.{SECRET}", "JSON web token"),
        ("AI" + "za" + "Sx9" * 11 + "ab", "Google API key"),
    ],
)
def test_secret_is_recognized_by_format(content, rule):
    assert _rules("srv/data.txt", f"before\n{content}\nafter") == [rule]


@pytest.mark.parametrize("at", [1, 20, 300, 700])
def test_key_across_two_chunks_is_found(at):
    assert _rules("srv/x", "x" * 9000 + KEY[:at], KEY[at:] + "y" * 9000) == ["private key"]


@pytest.mark.parametrize("path", ["app/_shop.cpython-311-x86_64-linux-gnu.so", "app/lib.so/key"])
def test_key_in_an_extension_module_is_found(path):
    assert _rules(path, b"\x7fELF\0\0" + KEY.encode()) == ["private key"]


def test_key_in_a_binary_is_found():
    assert _rules("usr/bin/x", b"\x7fELF\0\0" + KEY.encode() + b"\0") == ["private key"]


def test_token_in_bytecode_is_found():
    assert _rules("app/x.pyc", b"\0\0\0\0" + b"gh" + b"p_" + SECRET.encode()) == ["GitHub token"]


@pytest.mark.parametrize(
    ("path", "content", "rule"),
    [
        ("app/.env", "API_TOKEN=x", "environment file"),
        ("app/.env.production", "export A='b'", "environment file"),
        ("root/.npmrc", "//npm.invalid/:_authToken=abc", "npm credentials"),
        ("root/.pypirc", "[pypi]\npassword = abc", "PyPI credentials"),
        ("root/.netrc", "machine x login y password z", "netrc credentials"),
        ("root/.git-credentials", "https" + "://me:abc@git.invalid", "git credentials"),
        ("root/.docker/config.json", '{"auths": {"x": {"auth": "abc"}}}', "registry credentials"),
        ("root/.aws/credentials", "aws_secret_access_key = abc", "AWS credentials"),
        ("root/.kube/config", "token: abc", "Kubernetes credentials"),
        ("x/application_default_credentials.json", '{"refresh_token": 1}', "Google credentials"),
        ("root/.pgpass", "db:5432:shop:me:abc", "PostgreSQL passwords"),
        ("srv/main.tfstate", '{"resources": []}', "Terraform state"),
        ("etc/nginx/htpasswd", "me:$apr1$x", "password file"),
        ("srv/shop.p12", "\x00\x01", "key store"),
        ("etc/pip.conf", "index-url = https" + "://me:abc123@pypi.invalid/", "password in a URL"),
        ("app/settings.yaml", "cache: redis" + "://:abc123@cache.invalid/0", "password in a URL"),
        ("app/requirements-dev.txt", "-i https" + "://me:abc123@x.invalid", "password in a URL"),
        ("app/.git/config", "url = https" + "://me:abc123@git.invalid/x", "password in a URL"),
        (
            "root/.config/uv.toml",
            "url = 'https" + "://me:abc123@pypi.invalid/'",
            "password in a URL",
        ),
    ],
)
def test_secret_is_recognized_by_file_name(path, content, rule):
    assert rule in _rules(path, content)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("app/.env.example", "API_TOKEN=x"),
        ("app/.env.sample", "API_TOKEN=x"),
        ("app/.env", "# nothing\nA=\nB=$C\n"),
        ("app/environment", "API_TOKEN=x"),
        ("root/.npmrc", "registry=https://npm.invalid/\n_authToken=${NPM_TOKEN}"),
        ("root/.docker/config.json", '{"credsStore": "pass"}'),
        ("root/.netrc", "# machine"),
        ("usr/lib/libcrypto.so.3", "PRIVATE KEY\0-----BEGIN \0-----END \0" + BEGIN),
        ("usr/share/doc/x", f"{BEGIN}\n...\n{END}"),
        ("usr/share/doc/x", "-----BEGIN CERTIFICATE-----\n" + LINES),
        ("usr/share/doc/x", KEY.replace("PRIVATE", "PUBLIC")),
        ("x.md", "AKIAIOSFODNN7EXAMPLE"),
        ("x.css", ".sk-folding-cube-with-a-long-name {}"),
        ("x.md", "gh" + "p_" + "x" * 36),
        ("x.py", "url = 'https" + "://user:hunter22@host.invalid'"),
        ("home/app/lib/x.py", "url = 'https" + "://user:hunter22@host.invalid'"),
        ("root/node_modules/x/README.md", "https" + "://user:hunter22@host.invalid"),
        ("etc/site/x.mjs", "https" + "://user:hunter22@host.invalid"),
        ("srv/x.txt", "https" + "://user:hunter22@host.invalid"),
        ("etc/mail.conf", "https://host.invalid:8080/a@b"),
        ("usr/lib/libgnutls.so.30.34.3", b"\x7fELF\0\0" + KEY.encode()),
        ("x.md", "ey" + "JhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "c2lnbmF0dXJl"),
        ("x.txt", "ey" + "J" + SECRET),
        ("etc/pip.conf", "index-url = https" + "://user:password@host.invalid"),
        ("etc/pip.conf", "index-url = https" + "://${USER}:${TOKEN}@host.invalid"),
        ("usr/lib/x.so", b"\x7fELF\0gh" + b"p_" + SECRET.encode()),
    ],
)
def test_near_misses_are_no_candidates(path, content):
    assert _rules(path, content) == []


def test_every_format_has_a_prefix():
    """A format without a prefix in _PREFIXES would never be searched."""
    with_prefix = {rule for _, rules in secret_candidates._PREFIXES for rule in rules}
    assert with_prefix | {"private key", "password in a URL"} == SECRET_FORMATS.keys()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("x", BEGIN + " "),
        ("x", BEGIN + "\\n"),
        ("x", BEGIN + "\n" + "A" * 60 + "\n"),
        ("x", "-----BEGIN " + "A "),
        ("etc/x", "a"),
        ("etc/x", "://"),
        ("etc/x", "://a:b"),
        ("x", "sk" + "-"),
        ("x", "-ey" + "J"),
        ("x", ".ey" + "JAAAAAAAAAAAAA"),
        ("x", " gh" + "p_"),
        (".env", " "),
        (".env", "a "),
        (".pgpass", "a:"),
        (".pypirc", " \n"),
        (".docker/config.json", '"auth" '),
        (".npmrc", "_auth "),
        (".git-credentials", "://"),
        (".netrc", "password "),
    ],
)
def test_no_content_makes_the_scan_slow(path, text):
    """A quadratic pattern takes minutes for 256 kB of its prefix; a linear one 0.1 s."""
    begun, repeated = (text[: len(BEGIN)], text[len(BEGIN) :]) if BEGIN in text else ("", text)
    before = time.process_time()
    _rules(path, begun + repeated * ((1 << 18) // len(repeated)) + "\n://")
    assert time.process_time() - before < 3


def test_each_rule_is_reported_once_for_a_file():
    assert _rules("x", KEY * 3, KEY) == ["private key"]


# --- the search of a whole layer


def _search(*files: tuple[str, str]) -> SecretSearch:
    search = SecretSearch()
    for path, content in files:
        search.begin(path)
        search.feed(content.encode())
        search.end()
    return search


def test_layer_is_searched_file_by_file():
    search = _search(("a", KEY), ("b", "x"), ("c", KEY))
    assert [candidate.path for candidate in search.candidates] == ["a", "c"]
    assert search.unsearched == ""


def test_search_beyond_its_time_stops_with_the_reason(monkeypatch):
    monkeypatch.setattr(secret_candidates, "BASE_SECONDS", -1.0)
    search = _search(("a", "x"), ("b", KEY))
    assert "the last file was /a" in search.unsearched
    assert search.candidates == []


def test_search_beyond_the_number_of_candidates_stops_with_the_reason(monkeypatch):
    monkeypatch.setattr(secret_candidates, "MAX_CANDIDATES", 2)
    search = _search(*((name, KEY) for name in "abcd"))
    assert search.unsearched == "more than 2 files look like secrets"
    assert len(search.candidates) == 3
