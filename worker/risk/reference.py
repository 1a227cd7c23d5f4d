"""Table of signals in docs/risk.md: ``python -m worker.risk.reference`` prints it."""

from worker.risk import SIGNALS


def table() -> str:
    """Return all signals as a Markdown table, sorted by id."""
    lines = ["| Signal | Weight | What | Why it matters |", "|---|---|---|---|"]
    lines += [
        f"| `{s.id}` | {s.weight:g} | {_cell(s.title)} | {_cell(s.why)} |"
        for s in sorted(SIGNALS.values(), key=lambda s: s.id)
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    print(table(), end="")
