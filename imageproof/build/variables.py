"""Environment variables that the compose file's build sections use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof.build.git import current_commit
from imageproof.docker.environment import compose_variable

if TYPE_CHECKING:
    from imageproof.build.base_image import BaseImage
    from imageproof.contract import Contract

# The usual files of trusted CA certificates: Debian, Red Hat, Alpine.
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
EMPTY_FILE = "/dev/null"


def build_variables(contract: Contract, base: BaseImage) -> dict[str, str]:
    """Return the build's variables: base image, commit, and files that become build secrets.

    BUILD_CA, BUILD_PIP and BUILD_NPM name this machine's CA bundle, pip and npm configuration.
    A value from the environment or .env is kept.
    """
    variables = {
        contract.base.variable: base.reference,
        "BASE_DIGEST": base.digest,
        "REVISION": current_commit(contract.root),
    }
    for name, candidates in _secret_files().items():
        if not compose_variable(contract.root, name):
            existing = (str(path) for path in candidates if path and Path(path).is_file())
            variables[name] = next(existing, EMPTY_FILE)
    return variables


def _secret_files() -> dict[str, tuple[str | Path | None, ...]]:
    """Return the paths where each file may be, by its variable; the first existing file is used."""
    home = Path.home()
    return {
        "BUILD_CA": (os.environ.get("SSL_CERT_FILE"), *CA_BUNDLES),
        "BUILD_PIP": (
            os.environ.get("PIP_CONFIG_FILE"),
            home / ".config/pip/pip.conf",
            home / ".pip/pip.conf",
            "/etc/pip.conf",
        ),
        "BUILD_NPM": (
            os.environ.get("NPM_CONFIG_USERCONFIG"),
            home / ".npmrc",
            "/etc/npmrc",
        ),
    }
