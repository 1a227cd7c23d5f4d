"""Settings of the API and the worker, read from the environment and from secret files.

Each process reads only its own class, `ApiSettings` or `WorkerSettings`. A field's variable is its
name in upper case. An empty variable counts as unset, because Compose passes ``VAR=${VAR:-}`` for
unset variables. A value can also come from the file ``/run/secrets/<name>`` (lower or upper case);
the variable takes precedence.
"""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    RedisDsn,
    Secret,
    SecretStr,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

SECRETS_DIR = Path("/run/secrets")
EXIT_CONFIG = 2
"""Exit status of a process with an invalid configuration."""


class ConfigError(Exception):
    """Invalid configuration. The text is one line that names the variables and shows no value."""


class SecretFiles(SecretsSettingsSource):
    """Secret files, read by pydantic-settings with three differences.

    - An absent folder causes no warning: few containers have one.
    - An empty file counts as unset, as an empty variable does.
    - A file that cannot be read is an error. pydantic-settings warns and leaves the field unset,
      or raises an error that does not name the file.

    pydantic-settings' `NestedSecretsSettingsSource` is no alternative: it only lacks the warning,
    and it reads every file of the folder, including other services' files.
    """

    def __call__(self) -> dict[str, Any]:
        """Return the values by field name.

        Raises:
            SettingsError: a file cannot be read; its cause names the variable and the file.
        """
        return super().__call__() if Path(str(self.secrets_dir)).exists() else {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value (None if unset), the field's name, and whether the value is JSON."""
        try:
            with warnings.catch_warnings(action="error", category=UserWarning):
                value, key, is_json = super().get_field_value(field, field_name)
        except UserWarning as warning:
            reason = str(warning)
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}"
        except UnicodeDecodeError:
            path = self.find_case_path(
                Path(str(self.secrets_dir)), field_name, case_sensitive=False
            )
            reason = f"{path}: not UTF-8 text"
        else:
            return value or None, key, is_json
        raise ConfigError(f"{field_name.upper()} must be in a readable file: {reason}")


@dataclass(frozen=True)
class Accepts:
    """Accepted values of a variable, as error messages show them."""

    text: str


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


_HOST_PATTERN = re.compile(
    r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
    r"(?::[0-9]{1,5})?|\[[0-9a-f:.]{2,45}\](?::[0-9]{1,5})?"
)


def _host_list(text: str) -> str:
    """Return the comma-separated hosts in lower case, without spaces."""
    hosts = [host.strip().lower() for host in text.split(",") if host.strip()]
    for host in hosts:
        domain = host.removeprefix("*.").partition(":")[0]
        is_wide = host.startswith("*.") and not re.search(r"\.[a-z][^.]*$", domain)
        if is_wide or not _HOST_PATTERN.fullmatch(host):
            message = "a host is a name, name:port or *.domain.example, without https://"
            raise PydanticCustomError("host", message)
    return ",".join(hosts)


LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"],
    BeforeValidator(_lower),
    Accepts("one of debug, info, warning, error, critical"),
]
LlmProvider = Annotated[
    Literal["none", "openai", "anthropic"],
    BeforeValidator(_lower),
    Accepts("one of none, openai, anthropic"),
]
Threshold = Annotated[
    float,
    Field(ge=0, le=1, allow_inf_nan=False),
    Accepts("a number from 0 to 1"),
]
PollInterval = Annotated[
    float,
    Field(gt=0, le=3600, allow_inf_nan=False),
    Accepts("a number of seconds above 0 and at most 3600"),
]


def _without_blanks(value: object) -> object:
    """Refuse spaces and control characters: a URL parser would drop or encode them silently."""
    if (isinstance(value, str) and not value.isprintable()) or " " in str(value):
        raise ValueError("it contains a space or a control character")
    return value


def _store_url(url: Secret[RedisDsn]) -> Secret[RedisDsn]:
    """Refuse what the client of the store would ignore or read in another way."""
    _, _, rest = str(url.get_secret_value()).partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    if not re.fullmatch(r"[\w.-]+(:[1-9]\d*)?|\[[\da-fA-F:.]+\](:[1-9]\d*)?", host):
        raise ValueError("it needs one host, and may have a port")
    if not re.fullmatch(r"(/\d{0,5})?", url.get_secret_value().path or ""):
        raise ValueError("its path is the number of a database, such as /0")
    if url.get_secret_value().fragment is not None:
        raise ValueError("`#` must be written as %23")
    return url


# Secret, because such a URL often contains user:password.
SecretUrl = Annotated[
    Secret[AnyHttpUrl], BeforeValidator(_without_blanks), Accepts("an http:// or https:// URL")
]
StoreUrl = Annotated[
    Secret[RedisDsn],
    BeforeValidator(_without_blanks),
    AfterValidator(_store_url),
    Accepts("a redis:// or rediss:// URL"),
]
Rate = Annotated[
    float,
    Field(gt=0, le=10_000, allow_inf_nan=False),
    Accepts("a number of requests a second above 0 and at most 10000"),
]
Lifetime = Annotated[
    int,
    Field(ge=60, le=365 * 86400),
    Accepts("a number of seconds from 60 to a year's 31536000"),
]
STACK_STORE_URL = "redis://cache:6379/0"
"""URL of the stack's own cache."""
MIN_TOKEN_CHARACTERS = 16


def _header_text(value: SecretStr) -> SecretStr:
    """Refuse what no HTTP header can carry."""
    if not re.fullmatch(r"[!-~]+", value.get_secret_value()):
        raise ValueError("it contains a space, or a character that is not ASCII")
    return value


def _bearer_token(value: SecretStr) -> SecretStr:
    """Refuse a token that clients cannot send (RFC 6750), or that is easily guessed."""
    token = value.get_secret_value()
    if not re.fullmatch(r"[\w.~+/-]+=*", token, re.ASCII):
        raise ValueError("other characters cannot be sent as a bearer token")
    if len(token) < MIN_TOKEN_CHARACTERS:
        raise ValueError(f"it has {len(token)}; `openssl rand -hex 32` makes a good one")
    return value


HeaderSecret = Annotated[
    SecretStr, AfterValidator(_header_text), Accepts("printable ASCII text without spaces")
]
BearerToken = Annotated[
    SecretStr,
    AfterValidator(_bearer_token),
    Accepts(f"at least {MIN_TOKEN_CHARACTERS} characters: letters, digits, and any of - . _ ~ + /"),
]
Hosts = Annotated[
    str,
    Field(max_length=4000),
    AfterValidator(_host_list),
    Accepts("hosts separated by commas"),
]


class Settings(BaseSettings):
    """Settings of both processes."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        secrets_dir=SECRETS_DIR,
    )

    log_level: LogLevel = Field(default="info", description="Lowest level that is logged")
    store_url: StoreUrl | None = Field(
        default=None, description="URL of Redis or Valkey; unset: the stack's own cache"
    )

    @property
    def effective_store_url(self) -> str:
        """URL of the store, including its password."""
        return str(self.store_url.get_secret_value()) if self.store_url else STACK_STORE_URL

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence: arguments, environment, secret files."""
        directory = getattr(file_secret_settings, "secrets_dir", None)
        return init_settings, env_settings, SecretFiles(settings_cls, directory)

    @classmethod
    def variables(cls) -> tuple[str, ...]:
        """Return the names of the environment variables that this class reads."""
        return tuple(name.upper() for name in cls.model_fields)

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value that is set, for redaction in the log."""
        secrets: list[str] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                secrets.append(value.get_secret_value())
            elif isinstance(value, Secret) and (password := value.get_secret_value().password):
                secrets += [password, unquote(password)]
        return tuple(secrets)


class ApiSettings(Settings):
    """Settings of the API."""

    api_token: BearerToken | None = Field(default=None, description="Bearer token for /v1")
    api_rate_limit: Rate = Field(
        default=20,
        description="Sustained rate of review requests per second; bursts may be twice as large",
    )
    review_ttl: Lifetime = Field(default=7 * 86400, description="Seconds until a review is deleted")


class WorkerSettings(Settings):
    """Settings of the worker."""

    policy_threshold: Threshold = Field(
        default=0.75, description="Lowest risk that blocks an upgrade"
    )
    llm_provider: LlmProvider = Field(
        default="none", description="LLM provider that writes the summary"
    )
    llm_api_key: HeaderSecret | None = Field(
        default=None, description="API key for the LLM provider"
    )
    llm_base_url: SecretUrl | None = Field(
        default=None, description="Base URL of the LLM API; unset: the provider's own"
    )
    llm_model: str = Field(default="", max_length=200, description="Name of the LLM")
    artifactory_url: SecretUrl | None = Field(
        default=None, description="URL of the npm registry; unset: npm's default"
    )
    artifactory_token: HeaderSecret | None = Field(
        default=None, description="Bearer token for ARTIFACTORY_URL"
    )
    artifactory_hosts: Hosts = Field(
        default="",
        description="Further hosts of tarballs, separated by commas: host, host:port or *.domain",
    )
    worker_poll_interval: PollInterval = Field(
        default=5, description="Seconds between two polls of the queue by an idle worker"
    )

    def tarball_hosts(self) -> tuple[str, ...]:
        """Return the hosts that ARTIFACTORY_HOSTS lists."""
        return tuple(self.artifactory_hosts.split(",")) if self.artifactory_hosts else ()

    def require_llm(self) -> None:
        """Raise ConfigError if an LLM provider is set without the settings that it needs."""
        if self.llm_provider == "none":
            return
        missing = [] if self.llm_model else ["LLM_MODEL"]
        # A self-hosted server may need no key.
        if self.llm_api_key is None and not (self.llm_provider == "openai" and self.llm_base_url):
            missing.append("LLM_API_KEY")
        if missing:
            names = " and ".join(missing)
            raise ConfigError(f"{names} must be set because LLM_PROVIDER is {self.llm_provider}")


S = TypeVar("S", bound=Settings)


def load(settings_cls: type[S], secrets_dir: Path = SECRETS_DIR) -> S:
    """Return the settings of one process.

    Args:
        settings_cls: the class to read, `ApiSettings` or `WorkerSettings`.
        secrets_dir: the folder of secret files; it may be absent.

    Raises:
        ConfigError: a value is invalid, or a secret file cannot be read.
    """
    try:
        # In a dict, because mypy knows only the fields as arguments.
        options: dict[str, Any] = {"_secrets_dir": secrets_dir}
        return settings_cls(**options)
    except SettingsError as error:
        raise ConfigError(str(error.__cause__ or error)) from None
    except ValidationError as error:
        _refuse(settings_cls, error)


def _refuse(settings_cls: type[Settings], error: ValidationError) -> NoReturn:
    """Raise a ConfigError that names each invalid variable once and shows no value."""
    lines: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name, reason = str(problem["loc"][0]), problem["msg"]
        line = f"{name.upper()} must be {_accepted_values(settings_cls, name)}"
        if problem["type"] != "literal_error":  # its message repeats the accepted values
            line += f" ({_begin_small(reason.removeprefix('Value error, '))})"
        lines.setdefault(name, line)
    # `from None`, because the original error shows values.
    raise ConfigError("; ".join(lines.values())) from None


def _begin_small(sentence: str) -> str:
    """Return a sentence that continues another one; a word in capitals, such as URL, stays."""
    first_word = sentence.split(" ", 1)[0]
    return sentence if first_word[1:2].isupper() else f"{sentence[:1].lower()}{sentence[1:]}"


def _accepted_values(settings_cls: type[Settings], name: str) -> str:
    """Return the text of the field's `Accepts`, which an optional field has inside its union."""
    field = settings_cls.model_fields[name]
    members = getattr(field.annotation, "__args__", ())
    metadata = [*field.metadata, *(item for member in members for item in _metadata(member))]
    return next((item.text for item in metadata if isinstance(item, Accepts)), "valid")


def _metadata(annotation: object) -> tuple[object, ...]:
    return getattr(annotation, "__metadata__", ())
