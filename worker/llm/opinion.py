"""The language model's opinion of an upgrade, validated and limited."""

import logging
import secrets
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.llm import http_client, prompt, providers
from worker.llm.settings import LlmError, LlmSettings, MissingReason, Opinion
from worker.risk.text import printable

MAX_SUMMARY_CHARS = 2000
MAX_REASON_CHARS = 500
MAX_REASONS = 10
_REDACTED = "**********"

log = logging.getLogger(__name__)


class _Answer(BaseModel):
    """The JSON object that the prompt asks for."""

    model_config = ConfigDict(strict=True, extra="forbid", str_strip_whitespace=True)

    summary: str = Field(min_length=1, max_length=MAX_SUMMARY_CHARS)
    risk: float = Field(ge=0, le=1)
    reasons: list[Annotated[str, Field(max_length=MAX_REASON_CHARS)]] = Field(
        max_length=MAX_REASONS
    )


def summarize(llm: LlmSettings, data: str, risk: float) -> Opinion:
    """Return the model's opinion of an upgrade. Never raises: a review goes on without it.

    Takes at most `llm.timeout` seconds. Do not call it inside an event loop.

    Args:
        llm: the model.
        data: description of the upgrade, by `prompt.describe`.
        risk: the assessed risk.
    """
    if llm.provider == "none":
        return Opinion(risk, missing=MissingReason.DISABLED)
    try:
        answer = _query(llm, data)
    except LlmError as error:
        reason = error.reason
    except Exception as error:  # noqa: BLE001 - a server may trigger any error in a library
        # Log only the type: the message may contain the request, and with it the key.
        log.warning("llm request crashed: %s", type(error).__name__)
        reason = MissingReason.FAILED
    else:
        llm_secrets = llm.secrets()
        return Opinion(
            risk=max(risk, answer.risk),
            summary=_one_line(answer.summary, MAX_SUMMARY_CHARS, llm_secrets),
            reasons=tuple(_one_line(r, MAX_REASON_CHARS, llm_secrets) for r in answer.reasons),
        )
    return Opinion(risk, missing=reason)


def _query(llm: LlmSettings, data: str) -> _Answer:
    boundary = secrets.token_hex(16)
    system = prompt.system_message(boundary)
    user = prompt.user_message(data, boundary)
    request = providers.build_request(llm, system, user)
    body = http_client.post(request, timeout=llm.timeout, pause=llm.pause)
    text = providers.extract_text(llm, body).strip()
    if text.startswith("```"):  # many models fence JSON, whatever the prompt says
        text = text.removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return _Answer.model_validate_json(text)
    except ValidationError:
        raise LlmError(MissingReason.INVALID_ANSWER) from None


def _one_line(text: str, max_chars: int, llm_secrets: tuple[str, ...]) -> str:
    """Return the text as one printable line without secrets."""
    text = " ".join(text.split())
    for secret in llm_secrets:
        text = text.replace(secret, _REDACTED)
    return printable(text, max_chars)
