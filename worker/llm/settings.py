"""Which model is asked and how, and why there may be no answer."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from urllib.parse import unquote

from pydantic import AnyHttpUrl, Secret, SecretStr


@dataclass(frozen=True)
class Llm:
    """A provider and its model.

    Attributes:
        provider: none, openai (any server that speaks its chat completions) or anthropic.
        model: the model's name, as the provider calls it.
        api_key: its key; a server of one's own may need none.
        base_url: its address up to and with the version; the provider's own when None. A user
            and password in it are sent as basic authentication.
        timeout: seconds for everything: connecting, both tries, reading.
        pause: seconds between the two tries.
    """

    provider: Literal["none", "openai", "anthropic"] = "none"
    model: str | None = None
    api_key: SecretStr | None = None
    base_url: Secret[AnyHttpUrl] | None = None
    timeout: float = 60.0
    pause: float = 1.0

    def secrets(self) -> tuple[str, ...]:
        """Return what nobody may see in a text that came from the server."""
        key = self.api_key.get_secret_value().strip() if self.api_key else ""
        password = self.base_url.get_secret_value().password if self.base_url else ""
        return tuple(secret for secret in (key, password, unquote(password or "")) if secret)


class Missing(StrEnum):
    """Why there is no summary: all that a result, or the log, says of it."""

    OFF = "no provider is set"
    MODEL = "LLM_MODEL is not set"
    KEY = "the key holds characters that cannot be sent"
    AWAY = "the provider cannot be reached"
    SLOW = "the provider took too long"
    LARGE = "the answer is too large"
    UNAUTHORIZED = "the provider refused the key"
    UNKNOWN = "the provider does not know the model, or the address is wrong"
    BUSY = "the provider asks for fewer requests"
    BROKEN = "the provider failed"
    DENIED = "the provider did not take the request"
    REFUSED = "the model refused to answer"
    NONSENSE = "the answer is not of the agreed shape"
    FAILED = "the request failed"


class NoAnswer(Exception):
    """There is no answer; the text is one of `Missing`, and nothing that a server wrote."""

    def __init__(self, missing: Missing) -> None:
        """Keep the reason."""
        super().__init__(missing.value)
        self.missing = missing
