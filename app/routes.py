"""The routes that say how the API is."""

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
    """The state of each thing that the API needs to do its work."""

    store: Literal["ok", "down"]


class Ready(BaseModel):
    """Everything that the API depends on answers."""

    status: Literal["ready"] = "ready"
    dependencies: Dependencies


class NotReady(Problem):
    """Something that the API depends on does not answer."""

    title: str = "Service Unavailable"
    status: int = 503
    dependencies: Dependencies


def store_of(request: Request) -> Store:
    """Return the store that the application was made with."""
    store: Store = request.app.state.store
    return store


# OpenAPI holds Dependencies already, because Ready names it: refer to it there.
_NOT_READY_SCHEMA = NotReady.model_json_schema(ref_template="#/components/schemas/{model}")
_NOT_READY_SCHEMA.pop("$defs")
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {
        "description": "A dependency does not answer",
        "content": {MEDIA_TYPE: {"schema": _NOT_READY_SCHEMA}},
    }
}


@router.get("/health")
async def health() -> Health:
    """Tell that the process is alive; looks at nothing else."""
    return Health()


# Not async: ping may block, so it runs in a thread and /health goes on answering.
@router.get("/ready", response_model=Ready, responses=_NOT_READY)
def ready(store: Annotated[Store, Depends(store_of)]) -> Ready | JSONResponse:
    """Tell whether everything that the API depends on answers."""
    try:
        store.ping()
    except Exception as error:  # noqa: BLE001 - whatever it is, the store is not usable
        # The class only: the text of an error may hold an address or a password.
        name = type(error).__name__
        log.warning("not ready", extra={"dependency": "store", "error": name})
        problem = NotReady(
            detail=f"the store does not answer ({name})", dependencies=Dependencies(store="down")
        )
        return JSONResponse(
            problem.model_dump(exclude_none=True), status_code=503, media_type=MEDIA_TYPE
        )
    return Ready(dependencies=Dependencies(store="ok"))
