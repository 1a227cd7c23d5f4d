"""Combined signals: each part is ordinary, but together they are typical of an attack."""

from collections.abc import Iterator
from datetime import datetime

from worker.change import Change, FileChange
from worker.risk.dependencies import new_dependencies
from worker.risk.file_role import code_files
from worker.risk.manifest import lifecycle_scripts
from worker.risk.obfuscation import odd_loads
from worker.risk.pattern import search
from worker.risk.registry_metadata import provenance, publisher
from worker.risk.signal import Detector, Observation, signal
from worker.risk.strings import known_hosts, new_hosts, public_addresses

_MIN_SHARE = 0.3
"""Share from which a part counts. A comment, or one environment variable, has less."""
_SECRETS = ("code.credentials", "code.environment", "code.key-material")
_NETWORK = ("code.network", "code.download")
_EXECUTION = ("code.child-process", "code.eval")
_HIDDEN = ("code.obfuscated", "code.invisible", "code.decode")


@signal(
    "together.exfiltration",
    0.75,
    title="One file reads secrets and uses the network; full weight if it also names a new host",
    why="Thieves send tokens and keys away: @solana/web3.js sent private keys to a new host.",
)
def exfiltration(change: Change, _: datetime) -> Iterator[Observation]:
    """Find files that read secrets and use the network, and their destination."""
    known = known_hosts(change)
    for file, share in code_files(change):
        secret, network = _first(file, *_SECRETS), _first(file, *_NETWORK)
        if secret and network:
            has_destination = (
                any(True for _ in new_hosts(file, known))
                or any(True for _ in public_addresses(file))
                or _first(file, "strings.collector") is not None
            )
            text = f"line {network.line} uses the network; this line: {secret.text}"
            destination_share = 1.0 if has_destination else 0.6
            yield Observation(text, file.path, secret.line, share * destination_share)


@signal(
    "together.dropper",
    0.6,
    title="One file uses the network and runs programs or text",
    why="It can run what it downloads: eslint-scope ran code from pastebin.",
)
def dropper(change: Change, _: datetime) -> Iterator[Observation]:
    """Find files that use the network and run programs or text."""
    for file, share in code_files(change):
        network, execution = _first(file, *_NETWORK), _first(file, *_EXECUTION)
        if network and execution:
            text = f"line {network.line} uses the network; this line: {execution.text}"
            yield Observation(text, file.path, execution.line, share)


@signal(
    "together.hidden-code",
    0.7,
    title="One file decodes, or loads from tests or a text, and runs programs or text",
    why="The code was hidden in data: flatmap-stream, xz, GlassWorm.",
)
def hidden_code(change: Change, _: datetime) -> Iterator[Observation]:
    """Find files that hide code and run programs or text."""
    for file, share in code_files(change):
        hidden = _first(file, *_HIDDEN) or next(odd_loads(file), None)
        execution = _first(file, *_EXECUTION)
        if hidden and execution:
            text = f"line {hidden.line} hides code; this line: {execution.text}"
            yield Observation(text, file.path, execution.line, share)


@signal(
    "together.takeover",
    0.5,
    title="A new publisher or lost provenance, with a new dependency or install script",
    why="The attack on event-stream showed nothing else: the payload was in another package.",
)
def takeover(change: Change, now: datetime) -> Iterator[Observation]:
    """Find a change of publisher together with a new dependency or install script."""
    publication = _observe_full_weight(change, now, publisher, provenance)
    additions = _observe_full_weight(change, now, new_dependencies, lifecycle_scripts)
    if publication and additions:
        yield Observation(f"{publication[0].text}; {additions[0].text}", additions[0].path)


def _observe_full_weight(change: Change, now: datetime, *detectors: Detector) -> list[Observation]:
    """Return the detectors' observations of full weight."""
    return [o for detector in detectors for o in detector(change, now) if o.share == 1.0]


def _first(file: FileChange, *ids: str) -> Observation | None:
    """Return the file's first observation of these signals with at least _MIN_SHARE, or None."""
    for id_ in ids:
        for observation in search(file, id_):
            if observation.share >= _MIN_SHARE:
                return observation
    return None
