"""Numbers of signals, by name."""

# The numbers on x86 and ARM: signal(7).
_NUMBERS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15}
_NUMBERS |= {"CONT": 18, "STOP": 19, "WINCH": 28}


def signal_number(name: str) -> int | None:
    """Return the number of a signal, 15 for `SIGTERM`, `term` or `15`; None if it is unknown."""
    return int(name) if name.isdecimal() else _NUMBERS.get(name.upper().removeprefix("SIG"))
