"""Reads settings from a folder of secret files, one value a file."""

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


class SecretFileUnreadable(Exception):
    """A secret file is there but cannot be read; the text names the variable and the file."""


class SecretFiles(PydanticBaseSettingsSource):
    """Settings source for files such as ``/run/secrets/api_token`` or ``API_TOKEN``.

    An absent folder or file and an empty file mean "unset". Space around a value (the newline
    that editors add) is no part of it.
    """

    def __init__(self, settings_cls: type[BaseSettings], directory: Path) -> None:
        """Read for `settings_cls` from `directory`, which may be absent."""
        super().__init__(settings_cls)
        self._directory = directory

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return (value or None, field name, False: no value here is JSON).

        Raises:
            SecretFileUnreadable: the file is there but is not readable text.
        """
        for name in (field_name.lower(), field_name.upper()):
            if value := self._read(self._directory / name):
                return value, field_name, False
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of the files that are there, by field name."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}

    @staticmethod
    def _read(path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except UnicodeDecodeError:
            reason = "not UTF-8 text"
        message = f"{path.name.upper()} must be in a readable file: {path}: {reason}"
        raise SecretFileUnreadable(message)
