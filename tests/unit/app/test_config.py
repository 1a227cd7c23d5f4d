"""Tests of app.config: defaults, sources and their precedence, and errors without values."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.config import ApiSettings, ConfigError, Settings, WorkerSettings, load

SECRET = "hush-5f3a-never-shown"


@pytest.fixture(autouse=True)
def _without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*ApiSettings.variables(), *WorkerSettings.variables()}:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("settings", [ApiSettings, WorkerSettings])
def test_empty_variables_have_their_defaults(
    settings: type[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose passes an empty variable for an unset one."""
    defaults = load(settings)
    for name in settings.variables():
        monkeypatch.setenv(name, "")
    assert load(settings) == defaults


def test_each_process_reads_only_its_own_secrets() -> None:
    assert not {"LLM_API_KEY", "ARTIFACTORY_TOKEN"} & set(ApiSettings.variables())
    assert "API_TOKEN" not in WorkerSettings.variables()


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error, critical"),
        ("POLICY_THRESHOLD", "1.01", "a number from 0 to 1"),
        ("POLICY_THRESHOLD", "-1", "a number from 0 to 1"),
        ("POLICY_THRESHOLD", "nan", "a number from 0 to 1"),
        ("POLICY_THRESHOLD", "high", "a number from 0 to 1"),
        ("LLM_PROVIDER", "oracle", "one of none, openai, anthropic"),
        ("ARTIFACTORY_URL", "ftp://npm.test/", "an http:// or https:// URL"),
        ("ARTIFACTORY_URL", f"http://user:{SECRET}@npm.test:99999/", "an http:// or https:// URL"),
        ("WORKER_POLL_INTERVAL", "0", "a number of seconds above 0 and at most 3600"),
        ("WORKER_POLL_INTERVAL", "3601", "a number of seconds above 0 and at most 3600"),
        ("WORKER_POLL_INTERVAL", "inf", "a number of seconds above 0 and at most 3600"),
    ],
)
def test_error_names_the_variable_and_its_accepted_values_on_one_line(
    variable: str, value: str, accepted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        load(WorkerSettings)
    text = str(caught.value)
    assert text.startswith(f"{variable} must be {accepted}")
    assert "\n" not in text
    assert SECRET not in text


def test_error_names_all_invalid_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("POLICY_THRESHOLD", "2")
    with pytest.raises(ConfigError, match=r"^LOG_LEVEL must .*; POLICY_THRESHOLD must "):
        load(WorkerSettings)


@pytest.mark.parametrize("name", ["api_token", "API_TOKEN"])
def test_secret_file_is_read_in_either_case_and_without_its_newline(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(f"{SECRET}\n")
    token = load(ApiSettings, tmp_path).api_token
    assert token is not None
    assert token.get_secret_value() == SECRET


def test_variable_takes_precedence_over_secret_file_unless_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy_threshold").write_text("0.25")
    monkeypatch.setenv("POLICY_THRESHOLD", "")
    assert load(WorkerSettings, tmp_path).policy_threshold == 0.25
    monkeypatch.setenv("POLICY_THRESHOLD", "0.5")
    assert load(WorkerSettings, tmp_path).policy_threshold == 0.5


def test_empty_secret_file_counts_as_unset(tmp_path: Path) -> None:
    (tmp_path / "policy_threshold").write_text("\n")
    assert load(WorkerSettings, tmp_path).policy_threshold == 0.75


@pytest.mark.filterwarnings("error")
def test_absent_secrets_folder_causes_no_warning(tmp_path: Path) -> None:
    assert load(ApiSettings, tmp_path / "none").api_token is None


@pytest.mark.parametrize("name", ["api_token", "API_TOKEN"])
@pytest.mark.parametrize(
    "create",
    [
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/etc/hostname"),
    ],
)
def test_unreadable_secret_file_is_an_error_that_names_variable_and_file(
    create: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    """An unreadable secret must not silently count as unset."""
    path = tmp_path / name
    create(path)
    with pytest.raises(ConfigError, match=rf"^API_TOKEN must be in a readable file: .*{path}"):
        load(ApiSettings, tmp_path)


def test_other_services_secret_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "llm_api_key").write_bytes(b"\xff")
    assert load(ApiSettings, tmp_path).api_token is None


def test_secrets_path_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.touch()
    with pytest.raises(ConfigError, match="must reference a directory"):
        load(ApiSettings, path)


def test_every_variable_is_read_from_a_secret_file(tmp_path: Path) -> None:
    values = {
        "log_level": "debug",
        "store_url": "redis://:hush@cache.test/0",
        "policy_threshold": "0.5",
        "llm_provider": "openai",
        "llm_api_key": SECRET,
        "llm_base_url": "http://llm.test/v1",
        "llm_model": "m",
        "artifactory_url": "https://npm.test/",
        "artifactory_token": SECRET,
        "artifactory_hosts": "files.test",
        "worker_poll_interval": "1",
    }
    assert {name.upper() for name in values} == set(WorkerSettings.variables())
    for name, value in values.items():
        (tmp_path / name).write_text(value)
    settings = load(WorkerSettings, tmp_path)
    assert settings.model_fields_set == set(values)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        (" , ", ()),
        ("Files.Test", ("files.test",)),
        ("a.test, b.test:8443,", ("a.test", "b.test:8443")),
        ("*.store.test,*.store.test:9000", ("*.store.test", "*.store.test:9000")),
        ("cache:6379,10.0.0.1:80,[::1]:80", ("cache:6379", "10.0.0.1:80", "[::1]:80")),
    ],
)
def test_hosts_of_tarballs_are_a_list(
    text: str, hosts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACTORY_HOSTS", text)
    assert load(WorkerSettings).tarball_hosts() == hosts


@pytest.mark.parametrize(
    "text",
    [
        "https://files.test", "files.test/path", "*", "*.", "*.test*", "a.*.test", "*.1.1.1",
        "files.test:", "files.test:x", "user@files.test", "-a.test", "a..test", "a b.test",
        "files.test,https://x", "a" * 64 + ".test", "a.test," * 1000,
    ],
)  # fmt: skip
def test_an_invalid_host_of_tarballs_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTIFACTORY_HOSTS", text)
    with pytest.raises(ConfigError, match=r"^ARTIFACTORY_HOSTS must be hosts separated by commas"):
        load(WorkerSettings)


def test_repr_and_dump_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", SECRET)
    monkeypatch.setenv("ARTIFACTORY_URL", f"https://user:{SECRET}@npm.test/")
    settings = load(WorkerSettings)
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_secrets_include_url_passwords_as_written_and_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLM_API_KEY", SECRET)
    monkeypatch.setenv("ARTIFACTORY_URL", "https://user:p%40ss@npm.test/")
    assert load(WorkerSettings).secrets() == (SECRET, "p%40ss", "p@ss")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("STORE_URL", "redis://ca che:6379/0", "a space"),
        ("STORE_URL", " redis://cache:6379/0", "a space"),
        ("STORE_URL", "redis://cache:6379/0 ", "a space"),
        ("STORE_URL", f"redis://:{SECRET} x@cache/0", "a space"),
        ("STORE_URL", "redis://ca\tche/0", "a control character"),
        ("STORE_URL", "redis://cache\u00a0/0", "a control character"),
        ("STORE_URL", "redis://cache:0/0", "one host"),
        ("STORE_URL", "redis://cache,other:6379/0", "one host"),
        ("STORE_URL", "redis://cache:6379/x", "number of a database"),
        ("STORE_URL", "redis://cache:6379/0/1", "number of a database"),
        ("STORE_URL", "redis://cache:6379/0#x", "%23"),
        ("STORE_URL", "http://cache/0", "URL scheme should be 'redis'"),
        ("API_TOKEN", "hello", "it has 5"),
        ("API_TOKEN", "x" * 15, "it has 15"),
        ("API_TOKEN", "two words of a token", "bearer token"),
        ("API_TOKEN", "schl\u00fcssel-schl\u00fcssel", "bearer token"),
        ("API_TOKEN", "hush\n" + "x" * 16, "bearer token"),
    ],
)
def test_value_that_cannot_be_used_is_refused_with_its_reason(
    variable: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        load(ApiSettings)
    assert str(caught.value).startswith(f"{variable} must be ")
    assert reason in str(caught.value)
    assert value not in str(caught.value)
    assert "uRL" not in str(caught.value)


@pytest.mark.parametrize("variable", ["LLM_API_KEY", "ARTIFACTORY_TOKEN", "LLM_BASE_URL"])
@pytest.mark.parametrize("value", ["a b", "k\u00e4y", "a\x7fb"])
def test_secret_that_no_header_can_carry_is_refused(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=rf"^{variable} must be "):
        load(WorkerSettings)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STORE_URL", "redis://cache"),
        ("STORE_URL", "rediss://user:p%20w@store.test:6380/15"),
        ("STORE_URL", "redis://:pass@[::1]:6379/0"),
        ("STORE_URL", "redis://my_cache:6379/"),
        ("STORE_URL", "redis://cache:6379/0?ssl_cert_reqs=none"),
        ("API_TOKEN", "0123456789abcdef"),
        ("API_TOKEN", "abc.DEF_123-~+/abc=="),
    ],
)
def test_value_that_can_be_used_is_accepted(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(load(ApiSettings), variable.lower()) is not None
