"""Models of a review: its request, status and outcome. The API and the worker share them."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
    statistics: Statistics = Statistics()
    summary: str | None = Field(None, description="The LLM's summary, if one is configured")
    reasons: tuple[str, ...] = Field((), description="Reasons for the LLM's assessment")
    summary_missing: str | None = Field(None, description="Reason why the summary is missing")
    diff_truncated: bool = Field(False, description="Whether the diff was cut at its size limit")


class Failure(Model):
    """Reason why a review failed."""

    code: str = Field(description="Kind of failure, such as not_found or registry_unavailable")
    message: str


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
