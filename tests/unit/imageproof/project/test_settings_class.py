"""Settings classes: their fields, and modules that misbehave when they are imported."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest

from imageproof.errors import ContractError
from imageproof.project import settings_class
from imageproof.project.settings_class import Variable, accepts_value, read_settings
from tests.support.commands import wait_until

MODULE = """
from enum import Enum
from pydantic import Field, Secret, SecretBytes, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

class Colour(Enum):
    RED = "red"

class Kind(str, Enum):
    BIG = "big"

class Settings(BaseSettings):
    text: str = "t"
    needed: str
    nothing: str | None = None
    whole: int = 5
    five: float = 5
    half: float = 0.5
    hundred: float = 100.0
    colour: Colour = Colour.RED
    kind: Kind = Kind.BIG
    other: str = Field("x", validation_alias="another_name")
    many: list[str] = Field(default_factory=list)
    token: SecretStr = SecretStr("")
    key: SecretStr | None = None
    raw: SecretBytes | None = None
    number: Secret[int] | None = None
    set_token: SecretStr = SecretStr("made-up")
    secretary: str = "s"

class Prefixed(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="shop_")
    text: str = "t"

class Floats(BaseSettings):
    long: float = 2592000.0
    exact: float = 0.1234567
"""


@pytest.fixture
def read_class(tmp_path):
    """Reader of a settings class from MODULE, which is in its own root folder."""
    (tmp_path / "config.py").write_text(MODULE)
    return lambda class_: read_settings(tmp_path, f"config:{class_}")


def test_each_field_is_a_variable_with_its_default_as_text(read_class):
    assert {name: v.default for name, v in read_class("Settings").items()} == {
        "TEXT": "t",
        "NEEDED": "",
        "NOTHING": "",
        "WHOLE": "5",
        "FIVE": "5",
        "HALF": "0.5",
        "HUNDRED": "100",
        "COLOUR": "red",
        "KIND": "big",
        "ANOTHER_NAME": "x",
        "MANY": "",
        "TOKEN": "",
        "KEY": "",
        "RAW": "",
        "NUMBER": "",
        "SET_TOKEN": "made-up",
        "SECRETARY": "s",
    }


def test_secrets_are_recognized_by_type(read_class):
    secret = {name for name, variable in read_class("Settings").items() if variable.secret}
    assert secret == {"TOKEN", "KEY", "RAW", "NUMBER", "SET_TOKEN"}


def test_env_prefix_is_part_of_the_name(read_class):
    assert list(read_class("Prefixed")) == ["SHOP_TEXT"]


def test_float_default_keeps_all_digits(read_class):
    variables = read_class("Floats")
    assert variables["LONG"].default == "2592000"
    assert variables["EXACT"].default == "0.1234567"


def test_missing_class_is_a_contract_error(read_class):
    with pytest.raises(ContractError, match="Nothing") as caught:
        read_class("Nothing")
    assert caught.value.status == 2


def test_missing_module_is_a_contract_error(tmp_path):
    with pytest.raises(ContractError, match="no_such_module"):
        read_settings(tmp_path, "no_such_module:Settings")


def test_value_is_accepted_by_the_type_of_its_field(tmp_path, read_class):
    assert accepts_value(tmp_path, "config:Settings", "TEXT", "ä")
    assert accepts_value(tmp_path, "config:Settings", "WHOLE", "7")
    assert not accepts_value(tmp_path, "config:Settings", "WHOLE", "seven")


# --- the module is foreign code, in a process of its own

GOOD = """
from pydantic_settings import BaseSettings

class Settings(BaseSettings):
    text: str = "t"
"""


def _read(root: Path, code: str) -> Mapping[str, Variable]:
    """Read Settings of a module that runs `code` when it is imported."""
    (root / "config.py").write_text(f"{code}\n{GOOD}")
    return read_settings(root, "config:Settings")


@pytest.mark.parametrize(
    "code",
    [
        "print('hello'); print('{}')",
        "import os; os.write(1, b'text' * 1000)",
        "import sys; sys.stdout.close()",
        "import sys; sys.stdin.read()",
        "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",
        "import atexit, time; atexit.register(time.sleep, 60)",
        "import os; os.fork()",
        "import os; os.chdir('/')",
        "import warnings; warnings.warn('old')",
    ],
    ids=lambda code: code[:40],
)
def test_module_may_print_fork_and_start_threads(tmp_path, code):
    assert _read(tmp_path, code) == {"TEXT": Variable("TEXT", "t")}


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import sys; sys.exit(3)", "config.py:1: it exits with status 3"),
        ("raise SystemExit", "config.py:1: it exits with status None"),
        ("import os; os._exit(3)", "its module ended the process with status 3"),
        ("import os; os.abort()", "its module ended the process with status -6"),
        ("1 / 0", "config.py:1: ZeroDivisionError: division by zero"),
        ("\nraise KeyboardInterrupt", "config.py:2: KeyboardInterrupt"),
        ("input()", "config.py:1: EOFError"),
        ("x = ", "SyntaxError: invalid syntax (config.py, line 1)"),
        ("def f(): f()\nf()", "config.py:1: RecursionError: maximum recursion depth exceeded"),
        ("x = bytes(1 << 33)", "config.py:1: MemoryError"),
        ("raise ValueError('a\\x1b[31m\\n' * 9999)", "config.py:1: ValueError: a"),
        ("import missing_library", "config.py:1: ModuleNotFoundError: No module named"),
    ],
    ids=lambda text: text[:30],
)
def test_failing_module_is_a_contract_error_with_its_place(tmp_path, code, cause):
    with pytest.raises(ContractError) as caught:
        _read(tmp_path, code)
    assert caught.value.cause.startswith(cause)
    assert caught.value.cause.isprintable()
    assert len(caught.value.cause) <= settings_class.MAX_CAUSE_CHARACTERS
    assert "environment.settings" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["os:path", "os:environ", "json:JSONDecoder"])
def test_other_object_is_a_contract_error(tmp_path, name):
    with pytest.raises(ContractError, match="not a class of pydantic-settings"):
        read_settings(tmp_path, name)


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
        "import os, time\nif os.fork(): time.sleep(60)\ntime.sleep(60)",
    ],
)
def test_hanging_module_is_killed_with_its_children(tmp_path, monkeypatch, code):
    monkeypatch.setattr(settings_class, "MAX_SECONDS", 1.0)
    with (tmp_path / "alive").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    holding = "import fcntl; lock = open('alive'); fcntl.flock(lock, fcntl.LOCK_SH)\n"
    with pytest.raises(ContractError, match="did not end within 1 s"):
        _read(tmp_path, holding + code)
    # A killed process releases it when the kernel ends the process: hanging, it holds it 60 s.
    with (tmp_path / "alive").open("w") as file:
        wait_until(lambda: _try_lock(file), 20, "a process of the module still runs")


def test_what_the_module_printed_is_shown_without_secrets(tmp_path):
    with pytest.raises(ContractError) as caught:
        _read(tmp_path, "print('loading'); print('API_TO' 'KEN=swordfish'); 1 / 0")
    assert caught.value.tail == ("loading", "API_TOKEN=***")


def test_module_sees_no_variable_of_this_process(tmp_path, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "swordfish")
    monkeypatch.setenv("LD_PRELOAD_X", "x")
    code = f"import os; assert set(os.environ) <= {{*{settings_class.PASSED_VARIABLES}, 'PWD'}}"
    assert _read(tmp_path, f"{code}, sorted(os.environ)")


def test_module_is_imported_from_the_root_and_from_pythonpath(tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/shared.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "lib")
    (tmp_path / "project").mkdir()
    assert _read(tmp_path / "project", "import shared")


def test_this_process_and_the_folder_stay_as_they_were(tmp_path):
    before = list(sys.path), set(sys.modules)
    _read(tmp_path, "import sys; sys.path.clear; import decimal")
    assert (list(sys.path), set(sys.modules)) == before
    assert [path.name for path in tmp_path.iterdir()] == ["config.py"]


def test_class_is_read_once(tmp_path):
    code = "open('runs', 'a').write('x')"
    assert _read(tmp_path, code) == _read(tmp_path, code)
    assert (tmp_path / "runs").read_text() == "x"
