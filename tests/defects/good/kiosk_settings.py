"""Settings classes of web and job, for the env.* checks.

They are not in the images, which have only the standard library: kiosk/ reads the same variables.
"""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Web(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="KIOSK_")

    greeting: str = "welcome"
    token: SecretStr = SecretStr("")


class Job(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="KIOSK_")

    pause: float = 0.5
