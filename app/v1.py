"""The routes of /v1: reviews are asked for, read, and listed."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response, Security
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBearer
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from app import npm_names
from app.health import store_of
from app.log import request_id
from app.problems import documented
from app.reviews import Review, Status
from app.store import CURSOR, Store

MOST_IN_PAGE = 100
# For OpenAPI alone: app/guard.py asks for the token, before anything of a request is read.
_BEARER = HTTPBearer(auto_error=False, description="API_TOKEN")
router = APIRouter(
    prefix="/v1/reviews",
    tags=["reviews"],
    dependencies=[Security(_BEARER)],
    responses=documented(401, 503),
)

Name = Annotated[
    str, AfterValidator(npm_names.package_name), WithJsonSchema(npm_names.PACKAGE_NAME_SCHEMA)
]
Version = Annotated[
    str, AfterValidator(npm_names.version), WithJsonSchema(npm_names.VERSION_SCHEMA)
]
EXAMPLE: dict[str, JsonValue] = {"package": "left-pad", "from": "1.2.0", "to": "1.3.0"}


class Upgrade(BaseModel):
    """An upgrade of a package that is to be reviewed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    package: Name = Field(description="As npm names it")
    from_: Version = Field(alias="from", description="The version in use, or a range or a tag")
    to: Version = Field(description="The version that is wanted, or a range or a tag")


class Page(BaseModel):
    """Some of the reviews, the newest first."""

    reviews: list[Review]
    next: str | None = Field(
        None, description="The cursor of the next page; none: this is the last"
    )


Reviews = Annotated[Store, Depends(store_of)]
Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$", examples=["0123456789abcdef"])]
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    200: {"model": Review, "description": "It was reviewed already"},
    202: {
        "description": "It waits or runs",
        "headers": {"Location": {"description": "Where it is", "schema": {"type": "string"}}},
    },
}


def _json(model: BaseModel, status: int = 200, **headers: str) -> Response:
    """The answer as pydantic writes it; FastAPI would check it again first, at twice the time."""
    body = model.model_dump_json(by_alias=True)
    return Response(body, status, headers, media_type="application/json")


# Not async, as all that ask the store: they wait in threads, and /health goes on answering.
@router.post(
    "", status_code=202, response_model=Review, responses=_ACCEPTED | documented(413, 422, 429)
)
def submit(
    upgrade: Upgrade,
    store: Reviews,
    force: Annotated[bool, Query(description="Review it anew")] = False,
) -> Response:
    """Ask for a review. The same upgrade asked again is the same review."""
    review, _ = store.submit(
        upgrade.package, upgrade.from_, upgrade.to, force=force, request_id=request_id.get()
    )
    over = review.status in (Status.DONE, Status.FAILED)
    return _json(review, 200 if over else 202, Location=f"{router.prefix}/{review.id}")


@router.get("", response_model=Page, responses=documented(422))
def page(
    store: Reviews,
    limit: Annotated[int, Query(ge=1, le=MOST_IN_PAGE)] = 20,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR, description="`next` of the page before")
    ] = None,
) -> Response:
    """Reviews, the newest first."""
    reviews, following = store.page(limit, cursor)
    return _json(Page(reviews=reviews, next=following))


@router.get("/{id}", response_model=Review, responses=documented(404, 422))
def review(id: Id, store: Reviews) -> Response:  # noqa: A002 - the word of the path
    """A review: where it stands, and what came of it."""
    return _json(_known(store, id))


@router.get(
    "/{id}/diff",
    response_class=PlainTextResponse,
    responses=documented(404, 409, 422),
)
def diff(id: Id, store: Reviews) -> PlainTextResponse:  # noqa: A002 - the word of the path
    """The unified diff of a finished review, as `npm diff` prints it."""
    found = _known(store, id)
    if found.status != Status.DONE:
        raise HTTPException(409, f"the review is {found.status}: there is no diff")
    # Strangers wrote it: a browser must not take it for a page.
    headers = {"X-Content-Type-Options": "nosniff"}
    return PlainTextResponse(store.diff(id) or "", headers=headers)


def _known(store: Store, id_: str) -> Review:
    found = store.get(id_)
    if found is None:
        raise HTTPException(404, f"there is no review {id_}, or it expired")
    return found
