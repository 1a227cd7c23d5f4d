"""run.environment: the service has exactly the environment that the compose file passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imageproof.checks.check import Finding, check
from imageproof.checks.run.observed import observed

if TYPE_CHECKING:
    from imageproof.contract import ServiceContract
    from imageproof.runtime.containers import ContainerFacts

# Variables that neither the image nor the compose file sets.
AUTOMATIC = {
    *("PATH", "HOSTNAME", "HOME", "TERM"),  # set by the engine
    # set by the engine, if its client's configuration has a proxy
    *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"),
    *("PWD", "OLDPWD", "SHLVL", "_"),  # set by a shell that starts the service
}


@check(
    "run.environment",
    "containers",
    title="The service has the environment that the compose file passes, and nothing else",
    why="An older start, an override or an env_file can change a variable or lose one. The service "
    "then behaves as no file of the project says.",
    remedy="Set the variables in this shell or in .env as they were when the stack was started, "
    "COMPOSE_FILE too; or `./inv up` makes new containers with the present ones.",
    reference="https://docs.docker.com/compose/how-tos/environment-variables/envvars-precedence/",
)
def environment(_: ServiceContract, facts: Sequence[ContainerFacts]) -> Iterator[Finding]:
    """Fail for each missing, different or extra variable. Values are compared by digest."""
    for item in observed(facts, "environment"):
        if isinstance(item, Finding):
            yield item
            continue
        container, variables = item
        for name, value in variables.passed.items():
            if name not in variables.received:
                yield Finding(f"{container.name} lacks {name}, which the compose file passes")
            elif variables.received[name] != value:
                yield Finding(f"{container.name} has another {name} than the compose file passes")
        for name in sorted(variables.received.keys() - variables.passed.keys()):
            if name not in variables.image:
                if name not in AUTOMATIC:
                    yield Finding(f"{container.name} has {name}, which the compose file lacks")
            elif variables.received[name] != variables.image[name]:
                yield Finding(f"{container.name} has another {name} than its image sets")
