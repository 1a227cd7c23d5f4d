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
    """Line of /etc/passwd. The password `x` means that it is in /etc/shadow."""

    name: str
    password: str
    uid: int
    gid: int
    shell: str


@dataclass(frozen=True)
class Accounts:
    """Texts of the three files; None: no such file, or its text was not stored (`unread`)."""

    passwd: str | None
    group: str | None
    shadow: str | None
    unread: tuple[str, ...] = ()

    @cached_property
    def users(self) -> tuple[Account, ...]:
        """All accounts; invalid lines are skipped, as the C library does."""
        return tuple(
            Account(name, password, int(uid), int(gid), shell.strip())
            for name, password, uid, gid, _, _, shell, *_ in _rows(self.passwd, 7)
            if uid.isdecimal() and gid.isdecimal()
        )

    @cached_property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """All groups: name and gid."""
        return tuple(
            (name, int(gid)) for name, _, gid, *_ in _rows(self.group, 3) if gid.isdecimal()
        )

    def run_as(self, user: str) -> tuple[int | None, int | None]:
        """Return the uid and gid of `USER user` as the engine resolves them; None: unknown.

        Without a group, the gid is the account's own; for a uid without an account, root's.
        """
        name, _, group = user.partition(":")
        if name.isdecimal():
            uid: int | None = int(name)
            account = next((account for account in self.users if account.uid == uid), None)
            default_gid: int | None = account.gid if account else 0
        else:
            account = next((account for account in self.users if account.name == name), None)
            uid, default_gid = (account.uid, account.gid) if account else (None, None)
        return uid, self._gid(group) if group else default_gid

    def _gid(self, group: str) -> int | None:
        if group.isdecimal():
            return int(group)
        return next((gid for name, gid in self.groups if name == group), None)

    def without_password(self) -> Iterator[tuple[str, str]]:
        """Yield the accounts with an empty password, and the file that contains it."""
        for account in self.users:
            if not account.password:
                yield account.name, PASSWD
        for name, password, *_ in _rows(self.shadow, 2):
            if not password:
                yield name, SHADOW


def read_accounts(facts: ImageFacts) -> Accounts:
    """Return the accounts of an image."""
    texts = {path: facts.text(path) for path in (PASSWD, GROUP, SHADOW)}
    unread = (path for path, text in texts.items() if text is None and path in facts.files)
    return Accounts(texts[PASSWD], texts[GROUP], texts[SHADOW], tuple(unread))


def _rows(text: str | None, min_fields: int) -> Iterator[list[str]]:
    """Yield the fields of each line, without comments and NIS entries (`+`, `-`)."""
    for line in (text or "").splitlines():
        row = line.split(":")
        if len(row) >= min_fields and row[0] and not row[0].startswith(("#", "+", "-")):
            yield row
