"""Settings of the language model, and the reasons why a summary may be missing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
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


class LlmError(Exception):
    """Failure to get an answer. Its text is a MissingReason, never a server's text."""

    def __init__(self, reason: MissingReason) -> None:
        super().__init__(reason.value)
        self.reason = reason
