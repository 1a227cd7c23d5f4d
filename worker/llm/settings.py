"""Settings of the language model, and the reasons why a summary may be missing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Self
from urllib.parse import unquote

from pydantic import AnyHttpUrl, Secret, SecretStr


@dataclass(frozen=True)
class LlmSettings:
    """Provider and model.

    Attributes:
        provider: none, openai (any server with the chat completions API) or anthropic.
        model: the model's name at the provider.
        api_key: the provider's key; None for a server without authentication.
        base_url: address including the API version; None for the provider's own. A user and
            password in it are sent as basic authentication.
        timeout: seconds for the whole request: connecting, both attempts, reading.
        pause: seconds between the two attempts.
    """

    provider: Literal["none", "openai", "anthropic"] = "none"
    model: str | None = None
    api_key: SecretStr | None = None
    base_url: Secret[AnyHttpUrl] | None = None
    timeout: float = 60.0
    pause: float = 1.0

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets to remove from the server's texts."""
        key = self.api_key.get_secret_value().strip() if self.api_key else ""
        password = self.base_url.get_secret_value().password if self.base_url else ""
        return tuple(secret for secret in (key, password, unquote(password or "")) if secret)

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, secrets included."""
        base_url = self.base_url.get_secret_value() if self.base_url else None
        return {
            "provider": self.provider,
            "model": self.model,
            "api_key": self.api_key.get_secret_value() if self.api_key else None,
            "base_url": str(base_url) if base_url else None,
            "timeout": self.timeout,
            "pause": self.pause,
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Return the settings that `as_json` wrote."""
        key, base_url = fields["api_key"], fields["base_url"]
        secrets = {
            "api_key": SecretStr(key) if key is not None else None,
            "base_url": Secret(AnyHttpUrl(base_url)) if base_url else None,
        }
        return cls(**{**fields, **secrets})


class MissingReason(StrEnum):
    """Why a summary is missing. Results and logs contain only these texts."""

    DISABLED = "no provider is set"
    NO_MODEL = "LLM_MODEL is not set"
    INVALID_KEY = "the key holds characters that cannot be sent"
    UNREACHABLE = "the provider cannot be reached"
    TIMEOUT = "the provider took too long"
    TOO_LARGE = "the answer is too large"
    UNAUTHORIZED = "the provider refused the key"
    NOT_FOUND = "the provider does not know the model, or the address is wrong"
    RATE_LIMITED = "the provider asks for fewer requests"
    SERVER_ERROR = "the provider failed"
    REJECTED = "the provider did not take the request"
    REFUSED = "the model refused to answer"
    INVALID_ANSWER = "the answer is not of the agreed shape"
    FAILED = "the request failed"


@dataclass(frozen=True)
class Opinion:
    """The model's opinion, or the reason why it is missing.

    Attributes:
        risk: the assessed risk or the model's, whichever is higher.
        summary: one line of plain text, or None.
        reasons: why the model sees a risk, one line each.
        missing: why the summary is missing, or None.
    """

    risk: float
    summary: str | None = None
    reasons: tuple[str, ...] = ()
    missing: MissingReason | None = None

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Return the opinion that `dataclasses.asdict` and JSON made a mapping of."""
        missing = MissingReason(fields["missing"]) if fields["missing"] else None
        return cls(**{**fields, "reasons": tuple(fields["reasons"]), "missing": missing})


class LlmError(Exception):
    """Failure to get an answer. Its text is a MissingReason, never a server's text."""

    def __init__(self, reason: MissingReason) -> None:
        super().__init__(reason.value)
        self.reason = reason
