"""Routes of /v1: submit, read and list reviews."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response, Security
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.security import HTTPBearer
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from starlette.types import Send

from app import npm_names
from app.health import store_of
from app.log import Seldom, request_id
from app.problems import documented
from app.reviews import DamagedReviewError, Review, Status
from app.store import CURSOR_PATTERN, Store
from app.store_errors import StoreError

MAX_PAGE_SIZE = 100
_seldom = Seldom(logging.getLogger(__name__))
# Only for OpenAPI: app/guard.py checks the token before the request is read.
_BEARER = HTTPBearer(auto_error=False, description="API_TOKEN")
router = APIRouter(
    prefix="/v1/reviews",
    tags=["reviews"],
    dependencies=[Security(_BEARER)],
    responses=documented(401, 429, 503),
)

Name = Annotated[
    str, AfterValidator(npm_names.package_name), WithJsonSchema(npm_names.PACKAGE_NAME_SCHEMA)
]
Version = Annotated[
    str, AfterValidator(npm_names.version), WithJsonSchema(npm_names.VERSION_SCHEMA)
]
EXAMPLE: dict[str, JsonValue] = {"package": "left-pad", "from": "1.2.0", "to": "1.3.0"}


class Upgrade(BaseModel):
    """Upgrade of a package to review."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    package: Name = Field(description="Name of the npm package")
    from_: Version = Field(alias="from", description="Version in use, or a range or tag")
    to: Version = Field(description="Version to upgrade to, or a range or tag")

    @field_validator("to")
    @classmethod
    def _differs(cls, value: str, info: ValidationInfo) -> str:
        release = npm_names.exact_version(value)
        if release and release == npm_names.exact_version(info.data.get("from_", "")):
            raise ValueError("the same version as `from`")
        return value


class Page(BaseModel):
    """Page of reviews, the newest first."""

    reviews: list[Review]
    next: str | None = Field(None, description="Cursor of the next page; null on the last page")


AppStore = Annotated[Store, Depends(store_of)]
ReviewId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", examples=["0123456789abcdef"])]
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    200: {"model": Review, "description": "The upgrade has been reviewed"},
    202: {
        "description": "The review is queued or running",
        "headers": {
            "Location": {"description": "Path of the review", "schema": {"type": "string"}}
        },
    },
}


class _DiffResponse(StreamingResponse):
    """Response whose chunks are read as the client takes them, so that slow clients cost little."""

    async def stream_response(self, send: Send) -> None:
        """Send the chunks. If the store no longer gives them, the server closes the connection."""
        try:
            await super().stream_response(send)
        except (StoreError, DamagedReviewError) as error:
            _seldom.warning("diff cut off", {"error": str(error)})


def _json(model: BaseModel, status: int = 200, **headers: str) -> Response:
    """Return the model as JSON. FastAPI would validate it again, which would double the time."""
    body = model.model_dump_json(by_alias=True)
    return Response(body, status, headers, media_type="application/json")


# Routes that use the store are not async: FastAPI runs them in threads, so /health does not wait.
@router.post("", status_code=202, response_model=Review, responses=_ACCEPTED | documented(413, 422))
def submit(
    upgrade: Upgrade,
    store: AppStore,
    force: Annotated[bool, Query(description="Review it again")] = False,
) -> Response:
    """Submit an upgrade for review.

    The same upgrade returns an existing review that is queued or running; or done, if a new one
    would come out the same: both versions are exact, and a worker judges as then.
    """
    review, _ = store.submit(
        upgrade.package, upgrade.from_, upgrade.to, force=force, request_id=request_id.get()
    )
    finished = review.status in (Status.DONE, Status.FAILED)
    return _json(review, 200 if finished else 202, Location=f"{router.prefix}/{review.id}")


@router.get("", response_model=Page, responses=documented(422))
def page(
    store: AppStore,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = 20,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR_PATTERN, description="`next` of the previous page")
    ] = None,
) -> Response:
    """List reviews, the newest first."""
    reviews, next_cursor = store.page(limit, cursor)
    return _json(Page(reviews=reviews, next=next_cursor))


@router.get("/{id}", response_model=Review, responses=documented(404, 422, 500))
def review(id: ReviewId, store: AppStore) -> Response:  # noqa: A002 - the path's parameter
    """Return a review: its status and outcome."""
    return _json(_get_or_404(store, id))


@router.get(
    "/{id}/diff",
    response_class=PlainTextResponse,
    responses=documented(404, 409, 410, 422, 500),
)
def diff(id: ReviewId, store: AppStore) -> Response:  # noqa: A002 - the path's parameter
    """Return the unified diff of a finished review, as `npm diff` prints it.

    410: the diff was dropped, because newer ones needed its room. The review is still there.
    """
    review = _get_or_404(store, id)
    if review.status != Status.DONE:
        raise HTTPException(409, f"no diff: the review is {review.status}")
    stored = store.diff(id)
    if stored is None and (review.diff_dropped or _changed_files(review)):
        detail = "the diff was dropped to make room for newer ones"
        raise HTTPException(410, f"{detail}; submit the upgrade with ?force=true")
    # The diff is untrusted: a browser must not render it as a page.
    headers = {"X-Content-Type-Options": "nosniff"}
    if stored is None:
        return PlainTextResponse("", headers=headers)
    headers["Content-Length"] = str(stored.size)
    return _DiffResponse(stored.chunks, headers=headers, media_type=PlainTextResponse.media_type)


def _changed_files(review: Review) -> int:
    """Count the files that changed: if there are none, version 0.2 stored no diff."""
    if review.result is None:
        return 0
    counts = review.result.statistics
    return counts.files_added + counts.files_removed + counts.files_modified


def _get_or_404(store: Store, review_id: str) -> Review:
    review = store.get(review_id)
    if review is None:
        detail = f"review {review_id} does not exist, has expired or was dropped to make room"
        raise HTTPException(404, detail)
    return review
