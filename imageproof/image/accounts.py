"""Accounts of an image: passwd(5), group(5), shadow(5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imageproof.image.facts import ImageFacts

PASSWD, GROUP, SHADOW = "etc/passwd", "etc/group", "etc/shadow"


@dataclass(frozen=True)
class Account:
    """Line of /etc/passwd. `password`: `x` means that it is in /etc/shadow."""

    name: str
    password: str
    uid: int
    gid: int
    shell: str


@dataclass(frozen=True)
class Accounts:
    """Texts of the three files; None: no such file. `unread`: files whose text is not known."""

    passwd: str | None
    group: str | None
    shadow: str | None
    unread: tuple[str, ...] = ()

    @cached_property
    def users(self) -> tuple[Account, ...]:
        """All accounts; invalid lines are skipped, as the C library does."""
        return tuple(
            Account(row[0], row[1], int(row[2]), int(row[3]), row[6].strip())
            for row in _rows(self.passwd)
            if len(row) >= 7 and row[2].isdecimal() and row[3].isdecimal()
        )

    @cached_property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """All groups: name and gid."""
        return tuple(
            (row[0], int(row[2]))
            for row in _rows(self.group)
            if len(row) >= 3 and row[2].isdecimal()
        )

    def run_as(self, user: str) -> tuple[int | None, int | None]:
        """Return the uid and gid of `USER user` as the engine resolves them; None: unknown.

        Without a group, the gid is the account's own; for a uid without an account, root's.
        """
        name, _, group = user.partition(":")
        numeric = name.isdecimal()
        account = next(
            (a for a in self.users if (a.uid == int(name) if numeric else a.name == name)), None
        )
        uid = int(name) if numeric else account.uid if account else None
        if group:
            gids = dict(reversed(self.groups))
            return uid, int(group) if group.isdecimal() else gids.get(group)
        return uid, account.gid if account else 0 if numeric else None

    def without_password(self) -> Iterator[tuple[str, str]]:
        """Yield the accounts that need no password, and the file that says so."""
        for account in self.users:
            if not account.password:
                yield account.name, PASSWD
        for row in _rows(self.shadow):
            if len(row) > 1 and not row[1]:
                yield row[0], SHADOW


def read_accounts(facts: ImageFacts) -> Accounts:
    """Return the accounts of an image."""
    texts = {path: facts.text(path) for path in (PASSWD, GROUP, SHADOW)}
    unread = (path for path, text in texts.items() if text is None and path in facts.files)
    return Accounts(texts[PASSWD], texts[GROUP], texts[SHADOW], tuple(unread))


def _rows(text: str | None) -> Iterator[list[str]]:
    for line in (text or "").splitlines():
        row = line.split(":")
        if row[0] and not row[0].startswith(("#", "+", "-")):
            yield row
