"""Errors as problem details (RFC 9457), every one of them."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from app.log import request_id
from app.store import StoreError, StoreFull

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
log = logging.getLogger(__name__)


class Invalid(BaseModel):
    """One part of a request that is not acceptable."""

    where: str = Field(examples=["body.package"])
    message: str = Field(examples=["it is no name of an npm package"])


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(examples=["there is no review 0123456789abcdef"])
    errors: list[Invalid] | None = Field(None, description="Each part that is not acceptable")


_SCHEMAS = models_json_schema(
    [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
)[1]["$defs"]


def problem(
    status: int,
    detail: str,
    *,
    errors: list[Invalid] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that says what is wrong."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that are problems, for OpenAPI."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Have the application answer every error so."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StoreFull, _full)
    app.add_exception_handler(StoreError, _away)
    app.add_exception_handler(Exception, _broken)
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generated()
        schema["components"]["schemas"] |= _SCHEMAS  # which `documented` refers to
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Without the value: it may be a secret that was put into the wrong place.
    found = [
        Invalid(where=".".join(map(str, one["loc"])), message=_said(one["msg"]))
        for one in error.errors()
    ]
    return problem(422, "the request is not acceptable", errors=found)


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


async def _full(_: Request, error: Exception) -> JSONResponse:
    return problem(503, str(error), headers={"Retry-After": str(RETRY_SECONDS)})


async def _away(_: Request, error: Exception) -> JSONResponse:
    # The class only: the text of an error may hold an address or a password.
    log.warning("store does not answer", extra={"error": str(error)})
    return problem(503, "the store does not answer", headers={"Retry-After": str(RETRY_SECONDS)})


async def _broken(_: Request, __: Exception) -> JSONResponse:
    # uvicorn logs the error, to which it goes on; past app/guard.py, which names other answers.
    headers = {"X-Request-ID": request_id.get()}
    return problem(500, "the API failed; its log says why, by the request's id", headers=headers)
