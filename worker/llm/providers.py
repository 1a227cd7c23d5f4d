"""The two supported APIs: OpenAI's chat completions and Anthropic's messages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, Field, ValidationError

from worker.llm.settings import LlmError, LlmSettings, MissingReason

MAX_TOKENS = 2000  # Anthropic requires a limit; servers of the other API name it differently
_ADDRESSES = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
}
_PATHS = {"openai": "chat/completions", "anthropic": "messages"}


@dataclass(frozen=True)
class Request:
    """An HTTP POST of JSON."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)  # one contains the key
    body: bytes


def build_request(llm: LlmSettings, system: str, user: str) -> Request:
    """Return the request for an answer to the two messages.

    Raises:
        LlmError: the settings are incomplete or invalid.
    """
    if not llm.model:
        raise LlmError(MissingReason.NO_MODEL)
    body: dict[str, object] = {"model": llm.model}
    if llm.provider == "anthropic":
        messages = [_message("user", user)]
        body |= {"max_tokens": MAX_TOKENS, "system": system, "messages": messages}
    else:
        body |= {"messages": [_message("system", system), _message("user", user)]}
    return Request(_url(llm), _headers(llm), json.dumps(body).encode())


def extract_text(llm: LlmSettings, body: bytes) -> str:
    """Return the model's text from a response.

    Raises:
        LlmError: the response is invalid, or the model refused.
    """
    try:
        if llm.provider == "anthropic":
            return _AnthropicResponse.model_validate_json(body).text()
        return _OpenAiResponse.model_validate_json(body).text()
    except ValidationError:
        raise LlmError(MissingReason.INVALID_ANSWER) from None


class _OpenAiMessage(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _OpenAiChoice(BaseModel):
    message: _OpenAiMessage
    finish_reason: str | None = None


class _OpenAiResponse(BaseModel):
    choices: list[_OpenAiChoice] = Field(min_length=1)

    def text(self) -> str:
        first = self.choices[0]
        if first.message.refusal or first.finish_reason == "content_filter":
            raise LlmError(MissingReason.REFUSED)
        return first.message.content or ""


class _AnthropicBlock(BaseModel):
    type: str
    text: str = ""


class _AnthropicResponse(BaseModel):
    content: list[_AnthropicBlock]
    stop_reason: str | None = None

    def text(self) -> str:
        if self.stop_reason == "refusal":
            raise LlmError(MissingReason.REFUSED)
        return "".join(block.text for block in self.content if block.type == "text")


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _url(llm: LlmSettings) -> str:
    """Return the endpoint's address. A query in the base address stays at the end."""
    base = str(llm.base_url.get_secret_value()) if llm.base_url else _ADDRESSES[llm.provider]
    address, mark, query = base.partition("?")
    return f"{address.rstrip('/')}/{_PATHS[llm.provider]}{mark}{query}"


def _headers(llm: LlmSettings) -> dict[str, str]:
    # No compression: a small response must not expand to a large one.
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    if llm.provider == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if llm.api_key is not None and (key := llm.api_key.get_secret_value().strip()):
        if not key.isascii() or not key.isprintable():  # a library's error would show the key
            raise LlmError(MissingReason.INVALID_KEY)
        name, prefix = (
            ("x-api-key", "") if llm.provider == "anthropic" else ("authorization", "Bearer ")
        )
        headers[name] = prefix + key
    return headers
