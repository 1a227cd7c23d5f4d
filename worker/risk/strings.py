"""Signals in string literals: hosts, addresses and encoded texts."""

import base64
import ipaddress
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.file_role import INACTIVE_SHARE, code_files
from worker.risk.new_matches import NewMatch, is_comment, new_matches
from worker.risk.pattern import Pattern, any_of, pattern_signal, words
from worker.risk.signal import Observation, signal
from worker.risk.text import excerpt

_HOST = re.compile(r"://(?:[\w.~%-]{1,60}:[^\s/@\"'`]{0,60}@)?([\w.-]{1,253})")
_EXAMPLE_HOST = re.compile(r"^(?:.{1,200}\.)?(?:localhost|example(?:\.(?:com|org|net))?)$")
_ADDRESS = re.compile(r"[0-9][0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![\w.])")
_QUOTED = re.compile(r"[\"'`]([A-Za-z0-9+/]{16,4000}+)")  # base64 or hex
_SUSPICIOUS = re.compile(
    r"^\.{1,2}/|https?://(?!www\.w3\.org)|child_process|\brequire\b|\beval\b|process\.env|npm_package|/bin/|\.npmrc|"
    r"powershell|\bcurl |\bwget |\bfunction\b",
    re.IGNORECASE,
)
_LONG = re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{200,}+")
_DATA_URL = re.compile(r"\bdata:[\w.+/-]{0,40}(?:;[\w=.-]{0,30}){0,2};base64,$")


@signal(
    "strings.host",
    0.15,
    title="Code names a host that neither the code nor the manifest named before",
    why="A new destination. Often a link to documentation, so the weight is low; severe together "
    "with the network and a secret (together.exfiltration).",
)
def host(change: Change, _: datetime) -> Iterator[Observation]:
    """Find hosts in added lines that neither a removed line nor the old manifest names."""
    known = known_hosts(change)
    for file, share in code_files(change):
        for name, new in new_hosts(file, known):
            text = f"{name}: {excerpt(new.line, new.at)}"
            yield Observation(text, file.path, new.number, share * _comment_share(new))


@signal(
    "strings.address",
    0.4,
    title="Code names a public IP address",
    why="Honest services have names. ua-parser-js downloaded its miner from an IP address.",
)
def address(change: Change, _: datetime) -> Iterator[Observation]:
    """Find public IPv4 addresses."""
    for file, share in code_files(change):
        for new in public_addresses(file):
            text = excerpt(new.line, new.at)
            yield Observation(text, file.path, new.number, share * _comment_share(new))


pattern_signal(
    "strings.collector",
    0.6,
    Pattern(
        "names a service that accepts data from anyone",
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
        "queries its own address, or names hosted code or a short link",
        any_of(
            words(
                "ipinfo.io ipify.org ip-api.com ipgeolocation.io ifconfig.me ipapi.co icanhazip.com"
            ),
            words("gist.github.com gist.githubusercontent.com raw.githubusercontent.com"),
            words("bit.ly tinyurl.com is.gd cutt.ly", "/"),
        ),
        share=0.5,
    ),
    title="Code names a paste site, webhook, tunnel or file drop; half for who-am-I sites, gists",
    why="Attackers use them to receive stolen data and to host payloads: pastebin in eslint-scope, "
    "webhook.site in the Shai-Hulud worm.",
)

pattern_signal(
    "strings.wallet",
    0.4,
    Pattern(
        "names a wallet address",
        any_of(
            words("0x", r"[0-9a-fA-F]{40}\b"),
            words("bc1", r"[a-z0-9]{25,60}\b"),
            r"[\"'`](?=\w{0,34}[A-Z])(?=\w{0,34}[a-z])"
            r"(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|T[1-9A-HJ-NP-Za-km-z]{33})[\"'`]",
        ),
    ),
    title="Code names the address of a cryptocurrency wallet",
    why="It may be a thief's wallet: the code injected into chalk and debug had lists of them.",
)


@signal(
    "strings.encoded",
    0.7,
    title="A string decodes to an address or code; half for long base64 or hex, a quarter for data "
    "URLs",
    why="node-ipc hid an address in base64, flatmap-stream its names in hex.",
)
def encoded(change: Change, _: datetime) -> Iterator[Observation]:
    """Decode short strings, and find long ones."""
    for file, share in code_files(change):
        for new in new_matches(file, _QUOTED, all_in_line=True):
            if decoded := _decode_suspicious(new.match.group(1)):
                yield Observation(f"decodes to {decoded}", file.path, new.number, share)
        for new in new_matches(file, _LONG):
            text = f"{len(new.match.group())} characters: {excerpt(new.line, new.at)}"
            data_url = _DATA_URL.search(new.line[max(0, new.at - 80) : new.at])
            long_share = INACTIVE_SHARE if data_url or new.in_comment else 0.5
            yield Observation(text, file.path, new.number, share * long_share)


def known_hosts(change: Change) -> frozenset[str]:
    """Return the hosts that the old manifest or any removed line names."""
    manifest = json.dumps(dict(change.old.manifest), default=str)
    known = {name.lower() for name in _HOST.findall(manifest)}
    for file in change.files:
        lines = [line for line in file.removed_lines if "://" in line and not is_comment(line)]
        known.update(name.lower() for name in _HOST.findall("\n".join(lines)))
    return frozenset(known)


def new_hosts(file: FileChange, known: frozenset[str]) -> Iterator[tuple[str, NewMatch]]:
    """Yield each public host that is not in `known`, with its first match in an added line."""
    seen = set(known)
    for new in new_matches(file, _HOST, all_in_line=True):
        name = new.match.group(1).lower().rstrip(".")
        if name not in seen and "." in name and not _EXAMPLE_HOST.match(name):
            seen.add(name)
            yield name, new


def public_addresses(file: FileChange) -> Iterator[NewMatch]:
    """Yield the public IPv4 addresses in added lines: in quotes, or in the place of a host."""
    for new in new_matches(file, _ADDRESS, all_in_line=True):
        end = new.at + len(new.match.group())
        # Slices of constant length: a line may have thousands of matches.
        before, after = new.line[max(0, new.at - 2) : new.at], new.line[end : end + 1]
        is_address = before == "//" or before[-1:] in {'"', "'", "`", "@"} or after in {":", "/"}
        with suppress(ValueError):
            if is_address and ipaddress.IPv4Address(new.match.group()).is_global:
                yield new


def _comment_share(new: NewMatch) -> float:
    return INACTIVE_SHARE if new.in_comment else 1.0


def _decode_suspicious(text: str) -> str:
    """Return the text decoded from base64 or hex if the result is suspicious, else ""."""
    for decode in (_base64, _hex):
        with suppress(ValueError):
            decoded = decode(text).decode("latin-1")
            if _SUSPICIOUS.search(decoded):
                return decoded
    return ""


def _base64(text: str) -> bytes:
    decodable = text[:-1] if len(text) % 4 == 1 else text
    return base64.b64decode(decodable + "=" * (-len(decodable) % 4))


def _hex(text: str) -> bytes:
    return bytes.fromhex(text[: len(text) // 2 * 2])
