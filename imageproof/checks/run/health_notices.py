"""What a service does when it is frozen or stopped, and with its secrets: seen on a copy of the
stack that is started for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.deep.stack_trial import TrialFacts

SPARE = 2.0  # seconds: what the engine itself may take on top of the health check's own times
ENDED_BY_ITSELF = {0, 143}  # 143 = 128 + SIGTERM


@check(
    "run.health-notices",
    "trial",
    title="A service that hangs becomes unhealthy in time, and healthy again when it goes on",
    why="A health check is worth what it notices. One that asks the wrong thing, or looks at a "
    "file that nobody renews, says healthy while nothing is answered.",
    remedy="Let the probe ask the program itself (a request, a heartbeat with a short bound), and "
    "keep (interval + timeout) x retries below the contract's notices_within.",
    reference="https://docs.docker.com/reference/dockerfile/#healthcheck; signal(7): SIGSTOP",
)
def health_notices(_: ServiceContract, facts: TrialFacts) -> Iterator[Finding]:
    """Fail unless all processes stopped means unhealthy within the check's own times + 2 s."""
    if facts.unknown:
        yield Finding(facts.unknown, unknown=True)
        return
    bound = facts.bound + SPARE
    if facts.unhealthy_after is None:
        yield Finding(
            f"with every process stopped it was still not unhealthy after {facts.waited:.0f} s",
            bound=bound,
        )
    elif facts.unhealthy_after > bound:
        yield Finding(
            f"with every process stopped it was unhealthy after {facts.unhealthy_after:.1f} s, "
            f"its health check promises {bound:.0f} s",
            measured=round(facts.unhealthy_after, 1),
            bound=bound,
        )
    elif facts.healthy_after is None:
        yield Finding(f"it was not healthy again {facts.waited:.0f} s after its processes went on")


@check(
    "run.stop",
    "trial",
    title="A service ends by itself when it is stopped, within its time",
    why="Where SIGTERM is not answered, each stop takes the whole timeout and ends in SIGKILL: "
    "requests in hand are lost, and each deployment waits.",
    remedy="Handle SIGTERM, and start the program in exec form, or under `init: true`.",
    reference="https://docs.docker.com/reference/cli/docker/container/stop/",
)
def stop(terms: ServiceContract, facts: TrialFacts) -> Iterator[Finding]:
    """Fail for an end by SIGKILL, for another exit status than 0 or 143, and for a late end."""
    if facts.unknown or facts.exit_status is None or facts.stopped_after is None:
        yield Finding(facts.unknown or "it was not stopped", unknown=True)
        return
    if facts.exit_status not in ENDED_BY_ITSELF:
        how = "was killed" if facts.exit_status == 137 else "ended"
        yield Finding(
            f"it {how} with status {facts.exit_status} after {facts.stopped_after:.1f} s",
            measured=facts.exit_status,
            bound="0 or 143",
        )
    elif facts.stopped_after > terms.stop_timeout:
        yield Finding(
            f"it took {facts.stopped_after:.1f} s to end",
            measured=round(facts.stopped_after, 1),
            bound=terms.stop_timeout,
        )


@check(
    "run.reaps",
    "trial",
    title="No zombie stays: PID 1 waits for children that lost their parent",
    why="Each zombie keeps an entry of the process table; where PID 1 does not wait, pids_limit is "
    "reached some day, and the service can start nothing any more.",
    remedy="`init: true` in the compose file, or a PID 1 that waits for every child.",
    reference="pid_namespaces(7); https://docs.docker.com/reference/compose-file/services/#init",
)
def reaps(_: ServiceContract, facts: TrialFacts) -> Iterator[Finding]:
    """Fail for each orphaned child that ended and was not waited for."""
    if facts.unknown or facts.zombies is None or not facts.orphans:
        yield Finding(facts.unknown or "no child was orphaned", unknown=True)
    elif facts.zombies:
        yield Finding(
            f"{facts.zombies} of {facts.orphans} orphaned children stay as zombies",
            measured=facts.zombies,
            bound=0,
        )


@check(
    "secret.log",
    "trial",
    title="Nothing that a service was given as a secret is in its log",
    why="Logs are copied to more places than anything else, and read by more people.",
    remedy="Strike secrets out where the log is written; never log a whole configuration or URL.",
    reference="https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html",
)
def secret_log(_: ServiceContract, facts: TrialFacts) -> Iterator[Finding]:
    """Fail for each canary, given in place of a secret, that the log holds in any form."""
    if facts.unknown:
        yield Finding(facts.unknown, unknown=True)
    for name in facts.logged:
        yield Finding(f"the value of {name} is in the log")
