"""Routes that report the API's own health."""

import logging
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from app.problems import MEDIA_TYPE, Problem
from app.store import Store

router = APIRouter(tags=["health"])
log = logging.getLogger(__name__)


class Health(BaseModel):
    """The process is alive and serves requests."""

    status: Literal["ok"] = "ok"


class Dependencies(BaseModel):
    """State of each dependency of the API."""

    store: Literal["ok", "down"]


class Ready(BaseModel):
    """The API serves requests, and every dependency answers."""

    status: Literal["ready"] = "ready"
    dependencies: Dependencies


class NotReady(Problem):
    """A dependency does not answer, or the API is stopping."""

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
        "description": "A dependency does not answer, or the API is stopping",
        "content": {MEDIA_TYPE: {"schema": _NOT_READY_SCHEMA}},
    }
}


@router.get("/health")
async def health() -> Health:
    """Report that the process is alive; check no dependency."""
    return Health()


# Not async: ping may block, so FastAPI runs it in a thread, and /health does not wait.
@router.get("/ready", response_model=Ready, responses=_NOT_READY)
def ready(request: Request, store: Annotated[Store, Depends(store_of)]) -> Ready | JSONResponse:
    """Report whether the API serves requests and every dependency answers."""
    state = request.app.state
    state.ready_checked = True  # app/drain.py
    try:
        store.ping()
    except Exception as error:  # noqa: BLE001 - after any error the store is unusable
        # Only the class: the error's text may contain an address or a password.
        error_class = type(error).__name__
        log.warning("not ready", extra={"dependency": "store", "error": error_class})
        return _not_ready(f"the store does not answer ({error_class})", "down")
    if state.draining:
        return _not_ready("the API is stopping", "ok")
    return Ready(dependencies=Dependencies(store="ok"))


def _not_ready(detail: str, store: Literal["ok", "down"]) -> JSONResponse:
    problem = NotReady(detail=detail, dependencies=Dependencies(store=store))
    body = problem.model_dump(exclude_none=True)
    return JSONResponse(body, status_code=problem.status, media_type=MEDIA_TYPE)
