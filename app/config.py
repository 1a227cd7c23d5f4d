"""Settings of both processes, read from the environment and from secret files.

Each process has its own class, so that it reads only what it needs: `ApiSettings` and
`WorkerSettings`. The variable of a field is the field's name in upper case. An empty variable
counts as unset, because compose passes ``VAR=${VAR:-}`` for what nobody set. A value may also
stand in a file ``/run/secrets/<name>`` (lower or upper case); a variable that is set wins.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar
from urllib.parse import unquote

from pydantic import (
    AnyHttpUrl,
    BeforeValidator,
    Field,
    RedisDsn,
    Secret,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.secret_files import SecretFiles, SecretFileUnreadable

SECRETS_DIR = Path("/run/secrets")
EXIT_CONFIG = 2
"""Exit status of a process whose configuration is wrong."""


class ConfigError(Exception):
    """The configuration is wrong; the text is one line a person can act on, with no value in it."""


@dataclass(frozen=True)
class Accepts:
    """What a variable accepts, in the words that an error shows."""

    text: str


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


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
# A Secret although it is an address: such addresses often carry user:password.
SecretUrl = Annotated[Secret[AnyHttpUrl], Accepts("an http:// or https:// URL")]
StoreUrl = Annotated[Secret[RedisDsn], Accepts("a redis:// or rediss:// URL")]
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
STORE_URL = "redis://cache:6379/0"
"""The stack's own cache; no variable's default, since an address that is given may be secret."""
SecretText = Annotated[SecretStr, Accepts("text")]


class Settings(BaseSettings):
    """What both processes read."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        secrets_dir=SECRETS_DIR,
    )

    log_level: LogLevel = Field(default="info", description="How much is logged")
    store_url: StoreUrl | None = Field(
        default=None, description="Redis or Valkey; the stack's own when unset"
    )

    @property
    def store(self) -> str:
        """The address of the store, with its password."""
        return str(self.store_url.get_secret_value()) if self.store_url else STORE_URL

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, strongest first: arguments, environment, secret files."""
        # pydantic-settings' own source warns when the folder is absent, which is the usual case.
        directory = Path(getattr(file_secret_settings, "secrets_dir", None) or SECRETS_DIR)
        return init_settings, env_settings, SecretFiles(settings_cls, directory)

    @classmethod
    def variables(cls) -> tuple[str, ...]:
        """Return the names of the environment variables that this class reads."""
        return tuple(name.upper() for name in cls.model_fields)

    def secrets(self) -> tuple[str, ...]:
        """Return every secret text that is set, for the log to strike out."""
        found: list[str] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                found.append(value.get_secret_value())
            elif isinstance(value, Secret) and (password := value.get_secret_value().password):
                found += [password, unquote(password)]
        return tuple(found)


class ApiSettings(Settings):
    """What the API reads."""

    api_token: SecretText | None = Field(default=None, description="Bearer token of /v1")
    api_rate_limit: Rate = Field(
        default=20, description="Reviews asked for a second, in the long run; twice as many at once"
    )
    review_ttl: Lifetime = Field(
        default=7 * 86400, description="Seconds until a review is forgotten"
    )


class WorkerSettings(Settings):
    """What the worker reads."""

    policy_threshold: Threshold = Field(default=0.75, description="Risk from which a review blocks")
    llm_provider: LlmProvider = Field(default="none", description="Who writes the summary")
    llm_api_key: SecretText | None = Field(default=None, description="Key of the LLM provider")
    llm_base_url: SecretUrl | None = Field(
        default=None, description="Where the LLM is asked; the provider's own when unset"
    )
    llm_model: str = Field(default="", max_length=200, description="Which model is asked")
    artifactory_url: SecretUrl | None = Field(
        default=None, description="npm registry; npm's default when unset"
    )
    artifactory_token: SecretText | None = Field(
        default=None, description="Bearer token of that registry"
    )
    worker_poll_interval: PollInterval = Field(
        default=5, description="Seconds between two looks at the queue of an idle worker"
    )

    def require_llm(self) -> None:
        """Raise ConfigError where a provider is asked for, and what it needs is not there."""
        if self.llm_provider == "none":
            return
        missing = [] if self.llm_model else ["LLM_MODEL"]
        # A server of one's own may ask for no key.
        if self.llm_api_key is None and not (self.llm_provider == "openai" and self.llm_base_url):
            missing.append("LLM_API_KEY")
        if missing:
            names = " and ".join(missing)
            raise ConfigError(f"{names} must be set, since LLM_PROVIDER is {self.llm_provider}")


S = TypeVar("S", bound=Settings)


def load(settings: type[S], secrets_dir: Path = SECRETS_DIR) -> S:
    """Read the settings of one process.

    Args:
        settings: the class to read, `ApiSettings` or `WorkerSettings`.
        secrets_dir: the folder of secret files; it may be absent.

    Raises:
        ConfigError: a value is not acceptable, or a secret file cannot be read.
    """
    try:
        # in a dict, since mypy takes the signature from the fields alone
        options: dict[str, Any] = {"_secrets_dir": secrets_dir}
        return settings(**options)
    except SecretFileUnreadable as error:
        raise ConfigError(str(error)) from None
    except ValidationError as error:
        _refuse(settings, error)


def _refuse(settings: type[Settings], error: ValidationError) -> NoReturn:
    """Raise the ConfigError that names each bad variable once; never a value."""
    lines: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name, reason = str(problem["loc"][0]), problem["msg"]
        line = f"{name.upper()} must be {_accepted(settings, name)}"
        if problem["type"] != "literal_error":  # which would list what is accepted once more
            line += f" ({reason[:1].lower()}{reason[1:]})"
        lines.setdefault(name, line)
    # `from None`: the original error need not be shown, and must not be
    raise ConfigError("; ".join(lines.values())) from None


def _accepted(settings: type[Settings], name: str) -> str:
    """Return what the field accepts; the marker of an optional field sits inside its union."""
    field = settings.model_fields[name]
    inner = [m for arg in getattr(field.annotation, "__args__", ()) for m in _metadata(arg)]
    return next((m.text for m in [*field.metadata, *inner] if isinstance(m, Accepts)), "valid")


def _metadata(annotation: object) -> tuple[object, ...]:
    return getattr(annotation, "__metadata__", ())
