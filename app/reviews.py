"""A review: what is asked, where it stands, what came of it. The API and the worker share it."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Status(StrEnum):
    """Where a review stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Model(BaseModel):
    """Frozen; its fields are written by the names that the API shows."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Finding(Model):
    """One sign of risk, and where it is."""

    signal: str = Field(description="The signal's id; docs/risk.md lists them")
    path: str = Field(description="The file in the package; empty: the package as a whole")
    line: int | None = Field(default=None, description="The line in the new version")
    weight: float = Field(ge=0, le=1, description="How grave it is alone")
    text: str = Field(description="What was found")


class Statistics(Model):
    """How much the upgrade changes."""

    files_added: int = 0
    files_removed: int = 0
    files_modified: int = 0
    lines_added: int = 0
    lines_removed: int = 0
    unpacked_bytes_before: int = 0
    unpacked_bytes: int = 0


class Result(Model):
    """What a finished review says."""

    verdict: Literal["pass", "block"] = Field(description="block: the risk reaches the threshold")
    risk: float = Field(ge=0, le=1)
    threshold: float = Field(ge=0, le=1, description="The POLICY_THRESHOLD that was used")
    from_version: str = Field(description="The version that `from` was resolved to")
    to_version: str = Field(description="The version that `to` was resolved to")
    findings: tuple[Finding, ...] = Field((), description="The gravest first")
    statistics: Statistics = Statistics()
    summary: str | None = Field(None, description="Written by the LLM, where one is asked")
    reasons: tuple[str, ...] = Field((), description="Why the LLM sees a risk")
    summary_missing: str | None = Field(None, description="Why there is no summary")
    diff_truncated: bool = Field(False, description="The diff was cut at its bound")


class Failure(Model):
    """Why a review could not be made."""

    code: str = Field(description="What kind of failure, such as not_found or registry_unavailable")
    message: str


class Review(Model):
    """An upgrade of a package, and where its review stands."""

    id: str
    package: str
    from_: str = Field(alias="from", description="As it was asked: version, range or tag")
    to: str
    status: Status = Status.QUEUED
    created: datetime
    updated: datetime
    expires: datetime = Field(description="When it will be forgotten")
    attempts: int = Field(0, description="How often a worker took it up")
    dead_letter: bool = Field(False, description="It failed for good after its last attempt")
    result: Result | None = None
    failure: Failure | None = Field(None, description="Of the last attempt, where that failed")
