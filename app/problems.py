"""Error responses as problem details (RFC 9457)."""

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
from starlette.routing import Match

from app.log import Seldom, request_id
from app.reviews import DamagedReviewError
from app.store_errors import StoreError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
log = logging.getLogger(__name__)
_seldom = Seldom(log)


class Invalid(BaseModel):
    """Invalid part of a request, and its place."""

    where: str = Field(examples=["body.package"])
    message: str = Field(examples=["invalid npm package name"])


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(examples=["review 0123456789abcdef does not exist or has expired"])
    errors: list[Invalid] | None = Field(None, description="Every invalid part of the request")


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
    """Return a problem details response."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI documentation of a route's error responses."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make the application answer every error with problem details."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StoreError, _store_unavailable)
    app.add_exception_handler(DamagedReviewError, _damaged_review)
    app.add_exception_handler(Exception, _internal_error)
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generated()
        schema["components"]["schemas"] |= _SCHEMAS  # `documented` refers to them
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return problem(error.status_code, str(error.detail), headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of all routes with the request's path. Starlette names those of one."""
    methods = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    ]
    return [*methods, "HEAD"] if "GET" in methods else methods  # app/guard.py


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Leave out the values: one may be a misplaced secret.
    errors = [
        Invalid(
            where=".".join(map(str, part["loc"])), message=part["msg"].removeprefix("Value error, ")
        )
        for part in error.errors()
    ]
    return problem(422, "the request is invalid", errors=errors)


async def _store_unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StoreError)
    # Only the class of the cause: its text may contain an address or a password.
    _seldom.warning("store unavailable", {"state": error.state, "error": str(error)})
    return problem(503, error.detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


async def _damaged_review(_: Request, error: Exception) -> JSONResponse:
    _seldom.warning("damaged review", {"error": str(error)})
    detail = "the stored data of this review are damaged; submit the upgrade with ?force=true"
    return problem(500, detail)


async def _internal_error(_: Request, __: Exception) -> JSONResponse:
    # uvicorn logs the exception. This response bypasses app/guard.py, which sets the header.
    headers = {"X-Request-ID": request_id.get()}
    return problem(500, "internal error; search the API's log for the request id", headers=headers)
