"""Diffs in the store, as text."""

from app.store import Store


def read_diff(store: Store, review_id: str) -> str | None:
    """Return the diff of a review, or None if the store does not hold it."""
    stored = store.diff(review_id)
    if stored is None:
        return None
    text = b"".join(stored.chunks)
    assert len(text) == stored.size
    return text.decode()
