"""Models of a review: its request, status and outcome. The API and the worker share them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from itertools import accumulate
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

MAX_FINDINGS = 100
MAX_PATH_CHARS = 300
MAX_TEXT_CHARS = 500
MAX_SUMMARY_CHARS = 2000
MAX_REASONS = 10
MAX_MESSAGE_BYTES = 500
MAX_RESULT_BYTES = 64 * 1024
"""Maximum size of a result as JSON."""


class DamagedReviewError(Exception):
    """The stored data of a review are invalid."""


class Status(StrEnum):
    """Status of a review."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Model(BaseModel):
    """Base of the models: frozen, and created by field names as well as by the API's names."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Finding(Model):
    """Sign of risk in one place."""

    signal: str = Field(description="Id of the signal; docs/risk.md lists all")
    path: str = Field(description="File in the package; empty: the whole package")
    line: int | None = Field(default=None, description="Line in the new version")
    weight: float = Field(ge=0, le=1, description="Risk of this finding alone")
    text: str = Field(description="Description of the finding")


class Statistics(Model):
    """Size of the upgrade's changes."""

    files_added: int = 0
    files_removed: int = 0
    files_modified: int = 0
    lines_added: int = 0
    lines_removed: int = 0
    unpacked_bytes_before: int = 0
    unpacked_bytes: int = 0


class Result(Model):
    """Outcome of a finished review."""

    verdict: Literal["pass", "block"] = Field(description="block if the risk reaches the threshold")
    risk: float = Field(ge=0, le=1)
    threshold: float = Field(ge=0, le=1, description="POLICY_THRESHOLD of the worker")
    from_version: str = Field(description="Version that `from` resolved to")
    to_version: str = Field(description="Version that `to` resolved to")
    findings: tuple[Finding, ...] = Field((), description="Findings, the gravest first")
    findings_omitted: int = Field(0, description="Number of less grave findings left out")
    statistics: Statistics = Statistics()
    summary: str | None = Field(None, description="The LLM's summary, if one is configured")
    reasons: tuple[str, ...] = Field((), description="Reasons for the LLM's assessment")
    summary_missing: str | None = Field(None, description="Reason why the summary is missing")
    diff_truncated: bool = Field(False, description="Whether the diff was cut at its size limit")

    def bounded(self) -> Self:
        """Return the result with shortened texts and without the findings that exceed a limit."""
        findings = [
            f.model_copy(
                update={"path": _cut(f.path, MAX_PATH_CHARS), "text": _cut(f.text, MAX_TEXT_CHARS)}
            )
            for f in self.findings[:MAX_FINDINGS]
        ]
        summary = self.summary and _cut(self.summary, MAX_SUMMARY_CHARS)
        reasons = tuple(_cut(reason, MAX_TEXT_CHARS) for reason in self.reasons[:MAX_REASONS])
        base = self.model_copy(
            update={
                "from_version": _cut(self.from_version, MAX_PATH_CHARS),
                "to_version": _cut(self.to_version, MAX_PATH_CHARS),
                "findings": (),
                "summary": summary,
                "reasons": reasons,
            }
        )
        sizes = accumulate(len(f.model_dump_json().encode()) + 1 for f in findings)
        # 20 bytes for the number of omitted findings
        room = MAX_RESULT_BYTES - len(base.model_dump_json().encode()) - 20
        kept = tuple(f for f, size in zip(findings, sizes, strict=True) if size <= room)
        omitted = self.findings_omitted + len(self.findings) - len(kept)
        return base.model_copy(update={"findings": kept, "findings_omitted": omitted})


class Failure(Model):
    """Reason why a review failed."""

    code: str = Field(description="Kind of failure, such as not_found or registry_unavailable")
    message: str

    def bounded(self) -> Self:
        """Return the failure with a shortened message."""
        message = self.message.encode(errors="replace")[:MAX_MESSAGE_BYTES].decode(errors="ignore")
        return self.model_copy(update={"message": message})


class Review(Model):
    """Review of a package's upgrade."""

    id: str
    package: str
    from_: str = Field(alias="from", description="As submitted: version, range or tag")
    to: str
    status: Status = Status.QUEUED
    created: datetime
    updated: datetime
    expires: datetime = Field(description="Time at which the review is deleted")
    attempts: int = Field(0, description="Number of times that a worker claimed it")
    dead_letter: bool = Field(False, description="Whether its last attempt failed")
    result: Result | None = None
    failure: Failure | None = Field(None, description="Failure of the last attempt")
    diff_dropped: bool = Field(
        False, description="Whether the diff was dropped to make room for newer ones"
    )

    @classmethod
    def from_hash(cls, review_id: str, fields: Mapping[str, str]) -> Self:
        """Return the review with the fields of its hash in the store.

        Raises:
            DamagedReviewError: a field is missing or invalid.
        """
        try:
            return cls._from_hash(review_id, fields)
        except (KeyError, ValueError, OverflowError, OSError) as error:
            # Only the class: the error's text may contain stored values.
            raise DamagedReviewError(type(error).__name__) from None

    @classmethod
    def _from_hash(cls, review_id: str, fields: Mapping[str, str]) -> Self:
        for value in fields.values():
            value.encode()  # fails if the stored bytes are not UTF-8 (app/store.py, connect)

        def time_of(name: str) -> datetime:
            return datetime.fromtimestamp(int(fields[name]) / 1000, UTC)

        from_version: dict[str, Any] = {"from": fields["from"]}  # a keyword cannot be an argument
        result, failure = fields.get("result"), fields.get("failure")
        return cls(
            id=review_id,
            package=fields["package"],
            to=fields["to"],
            status=Status(fields["status"]),
            created=time_of("created"),
            updated=time_of("updated"),
            expires=time_of("expires"),
            attempts=int(fields.get("attempts", 0)),
            dead_letter=fields.get("dead_letter") == "1",
            result=Result.model_validate_json(result) if result else None,
            failure=Failure.model_validate_json(failure) if failure else None,
            diff_dropped=fields.get("diff_dropped") == "1",
            **from_version,
        )


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"
