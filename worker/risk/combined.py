"""Signals made of signals: each part is ordinary, and what they are together is an attack's."""

from collections.abc import Iterator
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.dependencies import added
from worker.risk.file_role import sources
from worker.risk.manifest import lifecycle
from worker.risk.obfuscation import loads
from worker.risk.pattern import search
from worker.risk.registry_metadata import provenance, publisher
from worker.risk.signal import Seen, signal
from worker.risk.strings import addresses, hosts, known_hosts

_TELLS = 0.3
"""Share from which a part counts: a remark, or one variable of the environment, is none."""
_SECRETS = ("code.credentials", "code.environment", "code.key-material")
_NETWORK = ("code.network", "code.download")
_RUNS = ("code.child-process", "code.eval")
_HIDES = ("code.obfuscated", "code.invisible", "code.decode")


@signal(
    "together.exfiltration",
    0.75,
    title="One file reads secrets and opens the network; gravest where it names a new host too",
    why="That is how tokens and keys leave: @solana/web3.js sent private keys to a new host.",
)
def exfiltration(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for files that show both, and for the place where it would go."""
    known = known_hosts(change)
    for file, share in sources(change):
        secret, network = _shows(file, *_SECRETS), _shows(file, *_NETWORK)
        if secret and network:
            place = (
                next((True for _ in hosts(file, known)), False)
                or next((True for _ in addresses(file)), False)
                or _shows(file, "strings.collector")
            )
            text = f"line {network.line} opens the network; here: {secret.text}"
            yield Seen(text, file.path, secret.line, share * (1.0 if place else 0.6))


@signal(
    "together.dropper",
    0.6,
    title="One file opens the network and runs programs or text",
    why="What it fetches, it can run: eslint-scope ran what pastebin gave it.",
)
def dropper(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for files that show both."""
    for file, share in sources(change):
        network, runs = _shows(file, *_NETWORK), _shows(file, *_RUNS)
        if network and runs:
            text = f"line {network.line} opens the network; here: {runs.text}"
            yield Seen(text, file.path, runs.line, share)


@signal(
    "together.hidden-code",
    0.7,
    title="One file decodes, or loads from tests or a text, and runs programs or text",
    why="Code that was carried in as data: flatmap-stream, xz, GlassWorm.",
)
def hidden_code(change: Change, _: datetime) -> Iterator[Seen]:
    """Look for files that show both."""
    for file, share in sources(change):
        hides = _shows(file, *_HIDES) or next(loads(file), None)
        runs = _shows(file, *_RUNS)
        if hides and runs:
            text = f"line {hides.line} hides something; here: {runs.text}"
            yield Seen(text, file.path, runs.line, share)


@signal(
    "together.takeover",
    0.5,
    title="Another publisher, or provenance lost, with a new dependency or install script",
    why="That is all that showed of the attack on event-stream: the payload was elsewhere.",
)
def takeover(change: Change, now: datetime) -> Iterator[Seen]:
    """Look at who published it, and at what comes along."""
    who = [seen for look in (publisher, provenance) for seen in look(change, now)]
    what = [seen for look in (added, lifecycle) for seen in look(change, now)]
    who, what = ([seen for seen in part if seen.share == 1.0] for part in (who, what))
    if who and what:
        yield Seen(f"{who[0].text}; {what[0].text}", what[0].path)


def _shows(file: FileChange, *ids: str) -> Seen | None:
    """Return the first thing that tells of any of these signals in the file."""
    for id_ in ids:
        for seen in search(file, id_):
            if seen.share >= _TELLS:
                return seen
    return None
