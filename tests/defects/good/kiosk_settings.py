"""What web and job read of their environment, as the checks env.* ask it. Not in the images: those
hold the standard library alone, and kiosk/ reads the same names by itself."""

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
