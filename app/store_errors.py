"""Errors of the store, as its clients and its log see them: the state, and what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import redis

StoreState = Literal["down", "loading", "full", "read-only", "failing", "denied", "error"]
"""State of a store that does not work: `down` does not answer, `failing` refuses writes because an
earlier one did not reach its disk or replicas, `denied` refuses the credentials, `error` answers
with another error."""

_DETAILS: dict[StoreState, str] = {
    "down": "the store does not answer",
    "loading": "the store is loading its data",
    "full": "the store is full, and holds nothing more to drop: raise its maxmemory",
    "read-only": "the store is a read-only replica: STORE_URL must name the primary",
    "failing": "the store refuses writes, because an earlier one did not reach its disk or "
    "replicas: see its log",
    "denied": "the store refuses the credentials in STORE_URL",
    "error": "the store answers with an error: its data may be damaged",
}
# Parts of Redis' error replies. Redis 6 puts the code of a script's error inside the text.
_CODES: dict[str, StoreState] = {
    "OOM ": "full",
    "READONLY ": "read-only",
    "LOADING ": "loading",
    "MASTERDOWN ": "loading",
    "MISCONF ": "failing",
    "NOREPLICAS ": "failing",
    "NOAUTH ": "denied",
    "WRONGPASS ": "denied",
    "NOPERM ": "denied",
    "The user executing the script ": "denied",
}
# Errors whose code redis-py removes from the text.
_CLASSES: tuple[tuple[type[redis.RedisError], StoreState], ...] = (
    (redis.exceptions.OutOfMemoryError, "full"),
    (redis.exceptions.ReadOnlyError, "read-only"),
    (redis.exceptions.BusyLoadingError, "loading"),
    (redis.exceptions.MasterDownError, "loading"),
    (redis.exceptions.AuthenticationError, "denied"),
    (redis.exceptions.NoPermissionError, "denied"),
)


class StoreError(Exception):
    """The store does not answer, or answers with an error.

    Attributes:
        detail: one sentence for a client: no address, no password.
        state: the store's state.
    """

    def __init__(self, cause: str, state: StoreState = "down", detail: str = "") -> None:
        """Create the error; `cause` is for the log, such as the class of the client's error."""
        super().__init__(cause)
        self.state = state
        self.detail = detail or _DETAILS[state]


class StoreFull(StoreError):
    """The store takes no new review: its queue is full, or its memory."""


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Raise a Redis client's error as StoreError, without the store's address or password."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreError(type(error).__name__, _state(error)) from None


def _state(error: redis.RedisError) -> StoreState:
    for class_, state in _CLASSES:
        if isinstance(error, class_):
            return state
    text = str(error)
    other: StoreState = "error" if isinstance(error, redis.ResponseError) else "down"
    return next((state for code, state in _CODES.items() if code in text), other)
