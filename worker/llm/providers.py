"""The two ways of asking: OpenAI's chat completions, which many servers speak, and Anthropic's
messages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, Field, ValidationError

from worker.llm.settings import Llm, Missing, NoAnswer

MAX_TOKENS = 2000  # Anthropic's API wants a bound; others have names for it that not all know
_ADDRESSES = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
}
_PATHS = {"openai": "chat/completions", "anthropic": "messages"}


@dataclass(frozen=True)
class Request:
    """A POST of JSON."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)  # one holds the key
    body: bytes


def request(llm: Llm, system: str, user: str) -> Request:
    """Return what asks for an answer to the two texts. Raises NoAnswer for unusable settings."""
    if not llm.model:
        raise NoAnswer(Missing.MODEL)
    asked: dict[str, object] = {"model": llm.model}
    if llm.provider == "anthropic":
        asked |= {"max_tokens": MAX_TOKENS, "system": system, "messages": [_said("user", user)]}
    else:
        asked |= {"messages": [_said("system", system), _said("user", user)]}
    return Request(_url(llm), _headers(llm), json.dumps(asked).encode())


def answer(llm: Llm, body: bytes) -> str:
    """Return what the model said. Raises NoAnswer."""
    try:
        if llm.provider == "anthropic":
            return _Reply.model_validate_json(body).said()
        return _Completion.model_validate_json(body).said()
    except ValidationError:
        raise NoAnswer(Missing.NONSENSE) from None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)

    def said(self) -> str:
        first = self.choices[0]
        if first.message.refusal or first.finish_reason == "content_filter":
            raise NoAnswer(Missing.REFUSED)
        return first.message.content or ""


class _Block(BaseModel):
    type: str
    text: str = ""


class _Reply(BaseModel):
    content: list[_Block]
    stop_reason: str | None = None

    def said(self) -> str:
        if self.stop_reason == "refusal":
            raise NoAnswer(Missing.REFUSED)
        return "".join(block.text for block in self.content if block.type == "text")


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _url(llm: Llm) -> str:
    """Return the address to ask; what follows a ``?`` in the base stays at the end."""
    base = str(llm.base_url.get_secret_value()) if llm.base_url else _ADDRESSES[llm.provider]
    address, mark, query = base.partition("?")
    return f"{address.rstrip('/')}/{_PATHS[llm.provider]}{mark}{query}"


def _headers(llm: Llm) -> dict[str, str]:
    # identity: what is not compressed cannot unpack to more than was read
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    if llm.provider == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if llm.api_key is not None and (key := llm.api_key.get_secret_value().strip()):
        if not key.isascii() or not key.isprintable():  # libraries would show it in their errors
            raise NoAnswer(Missing.KEY)
        name, start = (
            ("x-api-key", "") if llm.provider == "anthropic" else ("authorization", "Bearer ")
        )
        headers[name] = start + key
    return headers
