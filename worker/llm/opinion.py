"""Asks the model about an upgrade, and believes it no more than it must."""

import logging
import secrets
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.change import Change
from worker.llm import prompt, providers
from worker.llm.settings import Llm, Missing, NoAnswer
from worker.risk import Assessment, printable

SUMMARY_CHARS = 2000
REASON_CHARS = 500
MAX_REASONS = 10
_STRUCK_OUT = "**********"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opinion:
    """What came of asking.

    Attributes:
        risk: the assessed risk or the model's, whichever is higher.
        summary: one line of plain text, or None when there is none.
        reasons: why the model sees a risk, a line each.
        missing: why there is no summary; None when there is one.
    """

    risk: float
    summary: str | None = None
    reasons: tuple[str, ...] = ()
    missing: Missing | None = None


class _Answer(BaseModel):
    """What the model was asked for, and nothing else."""

    model_config = ConfigDict(strict=True, extra="forbid", str_strip_whitespace=True)

    summary: str = Field(min_length=1, max_length=SUMMARY_CHARS)
    risk: float = Field(ge=0, le=1)
    reasons: list[Annotated[str, Field(max_length=REASON_CHARS)]] = Field(max_length=MAX_REASONS)


def summarize(llm: Llm, change: Change, assessment: Assessment) -> Opinion:
    """Return what the model thinks of `change`. Nothing is raised: a review goes on without it.

    Takes at most `llm.timeout` seconds. Not for use inside an event loop.
    """
    if llm.provider == "none":
        return Opinion(assessment.risk, missing=Missing.OFF)
    try:
        answer = _ask(llm, change, assessment)
    except NoAnswer as error:
        missing = error.missing
    except Exception as error:  # noqa: BLE001 - whatever a server makes a library raise
        # the type alone: the text may hold what was sent, and so the key
        log.warning("llm request broke", extra={"error": type(error).__name__})
        missing = Missing.FAILED
    else:
        hidden = llm.secrets()
        return Opinion(
            risk=max(assessment.risk, answer.risk),
            summary=_plain(answer.summary, SUMMARY_CHARS, hidden),
            reasons=tuple(_plain(reason, REASON_CHARS, hidden) for reason in answer.reasons),
        )
    log.warning("no summary", extra={"reason": missing.value, "provider": llm.provider})
    return Opinion(assessment.risk, missing=missing)


def _ask(llm: Llm, change: Change, assessment: Assessment) -> _Answer:
    # httpx takes 4 MB and 50 ms: who asks no model has it not
    from worker.llm import http_client

    boundary = secrets.token_hex(16)
    data = prompt.user(change, assessment, boundary)
    request = providers.request(llm, prompt.system(boundary), data)
    body = http_client.post(request, timeout=llm.timeout, pause=llm.pause)
    said = providers.answer(llm, body).strip()
    if said.startswith("```"):  # many models fence JSON, whatever they are asked
        said = said.removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return _Answer.model_validate_json(said)
    except ValidationError:
        raise NoAnswer(Missing.NONSENSE) from None


def _plain(text: str, limit: int, hidden: tuple[str, ...]) -> str:
    """Return the text as one line without secrets, in which everything shows."""
    text = " ".join(text.split())
    for secret in hidden:
        text = text.replace(secret, _STRUCK_OUT)
    return printable(text, limit)
