"""Signals in texts that code holds: addresses, and what is encoded."""

import base64
import ipaddress
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.file_role import ASIDE, New, is_remark, news, sources
from worker.risk.pattern import Pattern, any_of, patterns, words
from worker.risk.signal import Seen, signal
from worker.risk.text import excerpt

_HOST = re.compile(r"://(?:[\w.~%-]{1,60}:[^\s/@\"'`]{0,60}@)?([\w.-]{1,253})")
_NOBODYS = re.compile(r"^(?:.{1,200}\.)?(?:localhost|example(?:\.(?:com|org|net))?)$")
_ADDRESS = re.compile(r"[0-9][0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![\w.])")
_QUOTED = re.compile(r"[\"'`]([A-Za-z0-9+/]{16,4000}+)")  # hex is among it
_TELLING = re.compile(
    r"^\.{1,2}/|https?://(?!www\.w3\.org)|child_process|\brequire\b|\beval\b|process\.env|npm_package|/bin/|\.npmrc|"
    r"powershell|\bcurl |\bwget |\bfunction\b",
    re.IGNORECASE,
)
_LONG = re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{200,}+")
_INLINED = re.compile(r"\bdata:[\w.+/-]{0,40}(?:;[\w=.-]{0,30}){0,2};base64,$")


@signal(
    "strings.host",
    0.15,
    title="Code names a host that neither it nor the manifest named before",
    why="A new place to talk to. Ordinary as a link to documentation, hence light; grave beside "
    "the network and a secret (together.exfiltration).",
)
def host(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for hosts in new lines that no removed line has, and not the old manifest."""
    known = known_hosts(change)
    for file, share in sources(change):
        for name, new in hosts(file, known):
            remark = ASIDE if is_remark(new.line) else 1.0
            yield Seen(
                f"{name}: {excerpt(new.line, new.at)}", file.path, new.number, share * remark
            )


@signal(
    "strings.address",
    0.4,
    title="Code names a public IP address",
    why="Honest services have names. ua-parser-js fetched its miner from an address.",
)
def address(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for IPv4 addresses that anybody can reach, where an address would stand."""
    for file, share in sources(change):
        for new in addresses(file):
            remark = ASIDE if is_remark(new.line) else 1.0
            yield Seen(excerpt(new.line, new.at), file.path, new.number, share * remark)


patterns(
    "strings.collector",
    0.6,
    Pattern(
        "names a service that takes anything from anybody",
        any_of(
            words("pastebin.com paste.ee hastebin.com ghostbin.co rentry.co 0x0.st"),
            words("discord.com/api/webhooks discordapp.com/api/webhooks hooks.slack.com"),
            words("api.telegram.org webhook.site requestbin pipedream.net beeceptor.com mockbin."),
            words(
                "ngrok.io ngrok.app ngrok-free. trycloudflare.com serveo.net localhost.run loca.lt"
            ),
            words("burpcollaborator oastify.com oast.fun oast.me oast.pro oast.live oast.site"),
            words("interact.sh dnslog.cn ceye.io transfer.sh file.io gofile.io temp.sh anonfiles"),
            r"\.onion\b|\.duckdns\.org|\.no-ip\.|\.workers\.dev\b",
        ),
    ),
    Pattern(
        "asks where it is, or fetches code that others keep",
        any_of(
            words(
                "ipinfo.io ipify.org ip-api.com ipgeolocation.io ifconfig.me ipapi.co icanhazip.com"
            ),
            words("gist.github.com gist.githubusercontent.com raw.githubusercontent.com"),
            words("bit.ly tinyurl.com is.gd cutt.ly", "/"),
        ),
        share=0.5,
    ),
    title="A paste site, webhook, tunnel, drop box or the like; half: who-am-I services, gists",
    why="They are where stolen things go and payloads come from: pastebin for eslint-scope, "
    "webhook.site for the Shai-Hulud worm.",
)

patterns(
    "strings.wallet",
    0.4,
    Pattern(
        "an address of a wallet",
        any_of(
            words("0x", r"[0-9a-fA-F]{40}\b"),
            words("bc1", r"[a-z0-9]{25,60}\b"),
            r"[\"'`](?=\w{0,34}[A-Z])(?=\w{0,34}[a-z])"
            r"(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|T[1-9A-HJ-NP-Za-km-z]{33})[\"'`]",
        ),
    ),
    title="The address of a cryptocurrency wallet",
    why="Money goes there: chalk and debug carried lists of them.",
)


@signal(
    "strings.encoded",
    0.7,
    title="A text decodes to an address or code; half: long base64 or hex; a quarter: data URLs",
    why="node-ipc kept the address that it asked in base64, flatmap-stream its names in hex.",
)
def encoded(change: Change, _: datetime) -> Iterator[Seen]:
    """Decode short texts, and look for long ones."""
    for file, share in sources(change):
        for new in news(file, _QUOTED, every=True):
            if telling := _decoded(new.match.group(1)):
                yield Seen(f"decodes to {telling}", file.path, new.number, share)
        for new in news(file, _LONG):
            text = f"{len(new.match.group())} characters: {excerpt(new.line, new.at)}"
            inlined = _INLINED.search(new.line[max(0, new.at - 80) : new.at])
            part = ASIDE if inlined or is_remark(new.line) else 0.5
            yield Seen(text, file.path, new.number, share * part)


def known_hosts(change: Change) -> frozenset[str]:
    """Return the hosts that the old manifest, or any removed line, names."""
    manifest = json.dumps(dict(change.old.manifest), default=str)
    known = {name.lower() for name in _HOST.findall(manifest)}
    for file in change.files:
        known.update(name.lower() for name in _HOST.findall("\n".join(file.gone)))
    return frozenset(known)


def hosts(file: FileChange, known: frozenset[str]) -> Iterator[tuple[str, New]]:
    """Yield each public host that is not in `known`, where a new line names it first."""
    seen = set(known)
    for new in news(file, _HOST, every=True):
        name = new.match.group(1).lower().rstrip(".")
        if name not in seen and "." in name and not _NOBODYS.match(name):
            seen.add(name)
            yield name, new


def addresses(file: FileChange) -> Iterator[New]:
    """Yield the public IPv4 addresses in new lines: in quotes, or where a host stands."""
    for new in news(file, _ADDRESS, every=True):
        before, after = new.line[: new.at][-2:], new.line[new.at :][len(new.match.group()) :][:1]
        stands = before == "//" or before[-1:] in {'"', "'", "`", "@"} or after in {":", "/"}
        with suppress(ValueError):
            if stands and ipaddress.IPv4Address(new.match.group()).is_global:
                yield new


def _decoded(text: str) -> str:
    """Return what a text decodes to as base64 or hex, where that tells something; else ""."""
    for decode in (_base64, _hex):
        with suppress(ValueError):
            decoded = decode(text).decode("latin-1")
            if _TELLING.search(decoded):
                return decoded
    return ""


def _base64(text: str) -> bytes:
    whole = text[:-1] if len(text) % 4 == 1 else text
    return base64.b64decode(whole + "=" * (-len(whole) % 4))


def _hex(text: str) -> bytes:
    return bytes.fromhex(text[: len(text) // 2 * 2])
