"""Settings: defaults, sources and their order, and errors that name the variable, not the value."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config import ApiSettings, ConfigError, WorkerSettings, load

SECRET = "hush-5f3a-never-shown"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*ApiSettings.variables(), *WorkerSettings.variables()}:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("value", [None, ""])
def test_threshold_is_0_75_when_unset_or_empty(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose passes an empty variable for what nobody set."""
    if value is not None:
        monkeypatch.setenv("POLICY_THRESHOLD", value)
    assert load(WorkerSettings).policy_threshold == 0.75


def test_every_variable_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty means the default, for each of them."""
    for name in WorkerSettings.variables():
        monkeypatch.setenv(name, "")
    settings = load(WorkerSettings)
    assert (settings.log_level, settings.llm_provider) == ("info", "none")
    assert (settings.llm_api_key, settings.artifactory_url) == (None, None)
    assert settings.worker_poll_interval == 5


def test_each_process_reads_only_its_own_variables() -> None:
    """The API never holds the worker's key, nor the worker the API's token."""
    shared = {"LOG_LEVEL", "STORE_URL"}
    assert set(ApiSettings.variables()) == shared | {"API_TOKEN", "API_RATE_LIMIT", "REVIEW_TTL"}
    assert set(WorkerSettings.variables()) == shared | {
        "POLICY_THRESHOLD",
        "LLM_PROVIDER",
        "LLM_API_KEY",
        "LLM_BASE_URL",
        "LLM_MODEL",
        "ARTIFACTORY_URL",
        "ARTIFACTORY_TOKEN",
        "WORKER_POLL_INTERVAL",
    }


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
def test_a_bad_value_is_named_with_what_is_accepted(
    variable: str, value: str, accepted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the variable and never shows a secret."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        load(WorkerSettings)
    text = str(caught.value)
    assert text.startswith(f"{variable} must be {accepted}")
    assert "\n" not in text
    assert SECRET not in text


def test_several_bad_values_are_all_named_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody likes to find them one start at a time."""
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("POLICY_THRESHOLD", "2")
    with pytest.raises(ConfigError, match=r"^LOG_LEVEL must .*; POLICY_THRESHOLD must "):
        load(WorkerSettings)


@pytest.mark.parametrize("name", ["api_token", "API_TOKEN"])
def test_a_value_comes_from_a_secret_file(name: str, tmp_path: Path) -> None:
    """In either case of its name, without the newline that editors add."""
    (tmp_path / name).write_text(f"{SECRET}\n")
    token = load(ApiSettings, tmp_path).api_token
    assert token is not None
    assert token.get_secret_value() == SECRET


def test_a_variable_wins_over_a_file_and_an_empty_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set beats file; empty is unset."""
    (tmp_path / "policy_threshold").write_text("0.25")
    monkeypatch.setenv("POLICY_THRESHOLD", "")
    assert load(WorkerSettings, tmp_path).policy_threshold == 0.25
    monkeypatch.setenv("POLICY_THRESHOLD", "0.5")
    assert load(WorkerSettings, tmp_path).policy_threshold == 0.5


def test_an_empty_secret_file_counts_as_unset(tmp_path: Path) -> None:
    """As an empty variable does."""
    (tmp_path / "policy_threshold").write_text("\n")
    assert load(WorkerSettings, tmp_path).policy_threshold == 0.75


@pytest.mark.filterwarnings("error")
def test_an_absent_secrets_folder_is_no_matter(tmp_path: Path) -> None:
    """It is the usual case: no error and no warning."""
    assert load(ApiSettings, tmp_path / "none").api_token is None


@pytest.mark.parametrize("name", ["api_token", "API_TOKEN"])
@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/etc/hostname"),
    ],
)
def test_unreadable_secret_file_is_an_error_that_names_variable_and_file(
    make: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    """An unreadable secret must not silently count as unset."""
    path = tmp_path / name
    make(path)
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
        "worker_poll_interval": "1",
    }
    assert {name.upper() for name in values} == set(WorkerSettings.variables())
    for name, value in values.items():
        (tmp_path / name).write_text(value)
    settings = load(WorkerSettings, tmp_path)
    assert not {name for name in values if name not in settings.model_fields_set}


def test_no_secret_shows_in_repr_or_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the key nor the password in the URL."""
    monkeypatch.setenv("LLM_API_KEY", SECRET)
    monkeypatch.setenv("ARTIFACTORY_URL", f"https://user:{SECRET}@npm.test/")
    settings = load(WorkerSettings)
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_the_log_is_told_every_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key, and the URL's password in both spellings."""
    monkeypatch.setenv("LLM_API_KEY", SECRET)
    monkeypatch.setenv("ARTIFACTORY_URL", "https://user:p%40ss@npm.test/")
    assert load(WorkerSettings).secrets() == (SECRET, "p%40ss", "p@ss")


def test_settings_are_frozen() -> None:
    """They cannot change under the code that read them."""
    settings = load(ApiSettings)
    with pytest.raises(ValidationError):
        settings.log_level = "debug"  # type: ignore[misc]
