"""Routes that report the API's own health."""

import asyncio
import logging
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from app.log import Seldom
from app.problems import MEDIA_TYPE, Problem
from app.store import Store
from app.store_errors import StoreError, StoreState

router = APIRouter(tags=["health"])
log = logging.getLogger(__name__)
_seldom = Seldom(log)


class Health(BaseModel):
    """The process is alive and serves requests."""

    status: Literal["ok"] = "ok"


class Dependencies(BaseModel):
    """State of each dependency of the API."""

    store: Literal["ok"] | StoreState = Field(
        description="down: it does not answer. failing: it refuses writes, because an earlier one "
        "did not reach its disk or replicas. denied: it refuses the credentials. error: it answers "
        "with another error"
    )


class Ready(BaseModel):
    """The API serves requests, and every dependency works."""

    status: Literal["ready"] = "ready"
    dependencies: Dependencies


class NotReady(Problem):
    """A dependency does not work, or the API is stopping."""

    title: str = "Service Unavailable"
    status: int = 503
    dependencies: Dependencies


def store_of(request: Request) -> Store:
    """Return the application's store."""
    store: Store = request.app.state.store
    return store


# Ready puts the schema of Dependencies into the OpenAPI document: refer to that one.
_NOT_READY_SCHEMA = NotReady.model_json_schema(ref_template="#/components/schemas/{model}")
_NOT_READY_SCHEMA.pop("$defs")
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {
        "description": "A dependency does not work, or the API is stopping",
        "content": {MEDIA_TYPE: {"schema": _NOT_READY_SCHEMA}},
    }
}


@router.get("/health")
async def health() -> Health:
    """Report that the process is alive; check no dependency."""
    return Health()


@router.get("/ready", response_model=Ready, responses=_NOT_READY)
async def ready(
    request: Request, store: Annotated[Store, Depends(store_of)]
) -> Ready | JSONResponse:
    """Report whether the API serves requests, and the store answers and accepts writes."""
    state = request.app.state
    state.ready_checked = True  # app/drain.py
    # No token is needed, so all requests that come during a check wait for this one: otherwise a
    # flood of them would occupy every thread while the store does not answer.
    if state.store_check is None or state.store_check.done():
        state.store_check = asyncio.create_task(run_in_threadpool(store.check))
    try:
        await asyncio.shield(state.store_check)
    except StoreError as error:
        # Only the class of the cause: its text may contain an address or a password.
        extra = {"dependency": "store", "state": error.state, "error": str(error)}
        _seldom.warning("not ready", extra)
        return _not_ready(error.detail, error.state)
    except Exception as error:  # noqa: BLE001 - after any error the store is unusable
        _seldom.warning("not ready", {"dependency": "store", "error": type(error).__name__})
        return _not_ready("the store does not answer", "down")
    if state.draining:
        return _not_ready("the API is stopping", "ok")
    return Ready(dependencies=Dependencies(store="ok"))


def _not_ready(detail: str, store: Literal["ok"] | StoreState) -> JSONResponse:
    problem = NotReady(detail=detail, dependencies=Dependencies(store=store))
    body = problem.model_dump(exclude_none=True)
    return JSONResponse(body, status_code=problem.status, media_type=MEDIA_TYPE)
