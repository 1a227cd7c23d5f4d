"""Secret candidates: files that look like secrets or contain one, by name and by content.

Every file of every layer is scanned while it is streamed; its content is never stored. These rules
avoid false alarms:

- A private key needs lines of base64 and an END line: libcrypto and manuals contain the words.
- Private keys in shared libraries (`libx.so.1`) are ignored: crypto libraries test themselves.
- Tokens count in text and in Python bytecode, not in other binaries.
- A password in a URL counts in configuration files (_CONFIGURATION), not in code or documentation
  (_PROSE), which are full of examples.

The content may be hostile: each pattern takes linear time, and the search of a layer has a bound.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

from imageproof.image.facts import SecretCandidate
from imageproof.redaction import SECRET_FORMATS

MAX_CANDIDATES = 1000  # of one layer
# The search of a layer may take this long: a real one reaches 100 MB in a second of CPU time.
BASE_SECONDS = 5.0
MIN_BYTES_PER_SECOND = 4e6
OVERLAP_BYTES = 1 << 14  # of two windows: a private key of 16384 bits fits
HEAD_BYTES = 1 << 16  # of a file whose name matches a rule: searched for evidence
_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]{1,32} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    # Few and short headers: the next key may begin in one, and is searched again.
    rb"(?:\s|\\n|\\r)*+(?:[A-Za-z-]{1,32}: [^\n]{0,128}\n){0,8}+"
    rb"[A-Za-z0-9+/=\s\\]{56,}+-----END "
)
_KEY_WORDS = b"PRIVATE KEY"
_LIBRARY = re.compile(r"(?:^|/)lib[^/]*\.so(?:\.[\d.]+)?$")
# Prefixes of formats, with their rules: a format is searched only after its prefix was found. Each
# pattern begins with a literal character, so that it runs at the speed of memchr(3): these six take
# a quarter of the time of all formats.
_PREFIXES: tuple[tuple[re.Pattern[bytes], tuple[str, ...]], ...] = (
    (re.compile(rb"A(?:[KS]IA|Iza)"), ("AWS access key", "Google API key")),
    (re.compile(rb"g(?:h[pousr]_|ithub_pat_|lpat-)"), ("GitHub token", "GitLab token")),
    (re.compile(rb"p(?:m_|ypi-)"), ("npm token", "PyPI token")),
    (re.compile(rb"xox[abprs]-"), ("Slack token",)),
    (re.compile(rb"sk-"), ("LLM provider key",)),
    (re.compile(rb"J(?<=eyJ)"), ("JSON web token",)),
)
_TOKEN_FORMATS = {
    **{rule: re.compile(pattern.encode()) for rule, pattern in SECRET_FORMATS.items()},
    # `sk-` begins CSS classes too: a key has digits and capitals.
    "LLM provider key": re.compile(
        rb"(?<![\w-])sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])(?:ant-|proj-)?[A-Za-z0-9_-]{20,}"
    ),
}
# The last alternative: the JSON web token of many manuals, with the subject 1234567890.
_EXAMPLE = re.compile(rb"EXAMPLE|x{6}|0{8}|1234567|abcdef|eyJzdWIiOiIxMjM0NTY3", re.IGNORECASE)
_URL = re.compile(rb"://[^/\s:@$<{\"']*+:(?P<password>[^/\s@$<{*\"']{3,}+)@")
_PLACEHOLDERS = frozenset({b"password", b"pass", b"passwd", b"secret", b"pwd", b"token"})
_CONFIGURATION = re.compile(
    r"^(?:etc|root|home/[^/]+)/|\.(?:conf|cfg|ini|toml|ya?ml|json|properties|list|sources|env)$"
    r"|(?:^|/)(?:\.[^/]+|\.git/config|requirements[^/]*\.txt|Pipfile|[^/]+\.lock)$"
)
_PROSE = re.compile(
    r"\.(?:pyc?|pyi|[cm]?[jt]sx?|map|css|html?|md|rst|[ch]|cc|cpp|hpp|go|rb|rs|java|php|p[lm]|lua"
    r"|[1-9])$"
)
# Rule, file name, and evidence that the content must contain.
_NAME_RULES: tuple[tuple[str, re.Pattern[str], re.Pattern[bytes]], ...] = tuple(
    (rule, re.compile(rf"(?:^|/)(?:{name})$"), re.compile(evidence, re.MULTILINE))
    for rule, name, evidence in (
        ("environment file", r"\.env(?:\.(?!example|sample|template|dist|defaults)[\w-]+)*",
         rb"^[ \t]*+(?:export +)?\w++[ \t]*+=[ \t]*+[\"']?[^\s\"'#$]"),
        ("npm credentials", r"\.npmrc", rb"(?:_authToken|_auth|_password)\s*+=\s*+(?!\$)\S"),
        ("PyPI credentials", r"\.pypirc", rb"^[ \t]*+password\s*+[=:]\s*+\S"),
        ("netrc credentials", r"[._]netrc", rb"\bpassword\s+\S"),
        ("git credentials", r"\.git-credentials", rb"://[^\s@/]++@"),
        ("registry credentials", r"\.docker/config\.json|\.dockercfg|containers/auth\.json",
         rb"\"(?:auth|identitytoken)\"\s*+:\s*+\"[^\"]"),
        ("AWS credentials", r"\.aws/credentials", rb"aws_secret_access_key\s*+=\s*+\S"),
        ("Kubernetes credentials", r"\.kube/config|kubeconfig|etc/kubernetes/[\w-]+\.conf",
         rb"(?:client-key-data|token|password):\s*+\S"),
        ("Google credentials", r"application_default_credentials\.json|gcloud/credentials\.db",
         rb"refresh_token|private_key|SQLite"),
        ("Azure credentials", r"\.azure/(?:accessTokens|msal_token_cache)\.json", rb"\S"),
        ("PostgreSQL passwords", r"\.pgpass", rb"^[^#:\n]*+:[^:\n]*+:[^:\n]*+:[^:\n]*+:."),
        ("Terraform state", r"[\w.-]+\.tfstate(?:\.backup)?", rb"\"resources\""),
        ("password file", r"\.?htpasswd", rb"^\w[^:\n]*+:\S"),
        ("Vault token", r"\.vault-token", rb"\S"),
        ("key store", r"[\w.-]+\.(?:jks|p12|pfx|keystore)", rb"(?s)."),
    )
)  # fmt: skip
# One search rules out most files.
_ANY_NAME = re.compile("|".join(f"(?:{name.pattern})" for _, name, _ in _NAME_RULES))


class SecretSearch:
    """Search of one layer, file by file. Beyond a bound it stops, and `unsearched` says why."""

    def __init__(self) -> None:
        self.candidates: list[SecretCandidate] = []
        self.unsearched = ""
        self._path = ""
        self._scan = FileScan("")
        self._bytes = 0
        self._seconds = 0.0

    def begin(self, path: str) -> None:
        """Begin with a file."""
        self._path = path
        self._scan = FileScan(path)

    def feed(self, chunk: bytes) -> None:
        """Search the file's next chunk."""
        self._bytes += len(chunk)
        if not self.unsearched:
            with self._counted():
                self._scan.feed(chunk)

    def end(self) -> None:
        """Add the file's candidates."""
        if not self.unsearched:
            with self._counted():
                self.candidates += self._scan.candidates()
            if len(self.candidates) > MAX_CANDIDATES:
                self.unsearched = f"more than {MAX_CANDIDATES:,} files look like secrets"

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        # CPU time: a busy machine and a slow registry change nothing.
        before = time.thread_time()
        yield
        self._seconds += time.thread_time() - before
        if self._seconds > BASE_SECONDS + self._bytes / MIN_BYTES_PER_SECOND:
            self.unsearched = (
                f"the search took {self._seconds:.0f} s for {self._bytes / 1e6:.1f} MB, "
                f"the last file was /{self._path}"
            )


class FileScan:
    """Scan of one file, chunk by chunk."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._name_rules: list[tuple[str, re.Pattern[bytes]]] = []
        if _ANY_NAME.search(path):
            self._name_rules = [
                (rule, evidence) for rule, name, evidence in _NAME_RULES if name.search(path)
            ]
        self._head = b""
        self._tail = b""
        self._is_text: bool | None = None
        self._rules: set[str] = set()

    def feed(self, chunk: bytes) -> None:
        """Scan the next chunk."""
        if self._is_text is None:
            # Python bytecode contains its strings unchanged.
            self._is_text = b"\0" not in chunk[:1024] or self._path.endswith(".pyc")
        if self._name_rules and len(self._head) < HEAD_BYTES:
            self._head += chunk[:HEAD_BYTES]
        window = self._tail + chunk if self._tail else chunk
        if _KEY_WORDS in window and not _LIBRARY.search(self._path) and _KEY.search(window):
            self._rules.add("private key")
        if self._is_text:
            self._rules.update(_token_rules(window))
            if b"://" in window and self._is_configuration() and _has_url_password(window):
                self._rules.add("password in a URL")
        self._tail = window[-OVERLAP_BYTES:]

    def _is_configuration(self) -> bool:
        return bool(_CONFIGURATION.search(self._path)) and not _PROSE.search(self._path)

    def candidates(self) -> Iterator[SecretCandidate]:
        """Yield a candidate for each rule that matched."""
        by_name = {rule for rule, evidence in self._name_rules if evidence.search(self._head)}
        for rule in sorted(self._rules | by_name):
            yield SecretCandidate(self._path, rule)


def _token_rules(window: bytes) -> Iterator[str]:
    """Yield the rule of each format that the window contains, except in examples."""
    for prefix, rules in _PREFIXES:
        if prefix.search(window):
            for rule in rules:
                if any(
                    not _EXAMPLE.search(match[0]) for match in _TOKEN_FORMATS[rule].finditer(window)
                ):
                    yield rule


def _has_url_password(window: bytes) -> bool:
    """Return whether a URL has a password that is not a placeholder."""
    return any(match["password"].lower() not in _PLACEHOLDERS for match in _URL.finditer(window))
