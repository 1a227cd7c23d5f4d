"""docs/comparison.md: the defects, the false alarms and the durations of each tool."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OURS = "imageproof"
MAX_COMPLAINT = 140  # characters
WIDTH = 100  # of the page's text
SHORT = {
    OURS: "`./inv verify`",
    "container-structure-test": "c-s-t",
    "docker-bench-security": "docker-bench",
}
HEAD = """\
# Comparison with other tools

Generated from [comparison.json](comparison.json), which `./inv bench --peers` writes and which has
every complaint of every tool.

The corpus is [tests/defects](../tests/defects): a good project with two images, {defects} planted
defects (one or more for each of {checks} checks) and {near} near misses, which must pass. Each tool
ran on the same corpus with the configuration in [tests/peers](../tests/peers).

The corpus was made to test this project's checks, so `./inv verify` finds every defect by
construction. Read the table the other way: it shows what the other tools leave to you.

Machine: {processors} processors, {memory_gib} GiB, {architecture}, engine {engine},
Python {python}.
"""
RUN = """\
All tools ran on {date}, on the machine above.{later} This page does not have the checks that were
added since: [checks](checks.md) lists all, and the next run of `./inv bench --peers` adds them.
"""
LEGEND = """\
**yes**: found by one of the tool's own rules. hand: found by a rule written by hand for this
project. 1/3: found one of three planted defects. -: not found. n/t: not tried, because the defect
is unsafe to run. A tool finds a defect if it reports something that it does not report for the good
project.
"""
SPEED = """\
Medians of three runs, in turns. Without cached facts, except where the text says otherwise. Each
tool ran on both images, one after the other, as in a pipeline; compose-lint read the one compose
file. The summary above has times for one image or service, and for `./inv verify` the time for both
images and the running stack.

dive is faster without a cache. Both tools wait for `docker save`, which sends its first byte only
after it has written all images to disk. `./inv verify` adds the start of Python and Compose, and
reads each file (digest, packages, secrets); dive only counts bytes.
"""
NOTES = """\
- container-structure-test and goss check only what a team writes tests for. Their files here test
  the contract as far as the tools can.
- goss: dgoss needs a shell in the image, which the good image does not have. It ran in a container
  that shared the service's processes and network and read its files in /proc/1/root.
- syft lists packages. The rule by hand: each package is in a lock file or in the contract's list of
  the distribution's packages.
- dive: the limit of wasted bytes is the contract's, 100 kB.
- docker-bench-security: sections 4 and 5, on the running container of each case.
- hadolint read the Dockerfile, compose-lint the compose file with its overrides.
- dockle and Trivy could not be installed for this run. Their columns follow their documentation and
  sources: {sources}.
"""


def page(run: Mapping[str, Any]) -> str:
    """Return docs/comparison.md.

    Args:
        run: the content of docs/comparison.json.
    """
    documented = tomllib.loads((HERE / "documented.toml").read_text())
    cases = run["cases"]
    defects = [case for case in cases if case["planted"]]
    ids = sorted({case["check"] for case in defects})
    near = [case for case in cases if case["check"] and not case["planted"]]
    head = HEAD.format(
        defects=len(defects), checks=len(ids), near=len(near), **run["machine"],
    )  # fmt: skip
    sources = ", ".join(
        f"[{name} {number}]({link})"
        for name, entry in documented.items()
        for number, link in enumerate(entry["sources"], 1)
    )
    parts = [
        head,
        "## Runs\n",
        _runs(run),
        "## Summary\n",
        "\n".join(_summary(run, documented)),
        "\n## Speed\n",
        SPEED,
        "\n".join(_speed(run)),
        "\n## Defects by check\n",
        LEGEND,
        "\n".join(_finds(run, ids, documented)),
        "\n## False alarms\n",
        "\n".join(_alarms(run, documented)),
        "\n## Configuration of the tools\n",
        NOTES.format(sources=sources),
    ]
    return "\n".join(parts)


def _runs(run: Mapping[str, Any]) -> str:
    """Say which rows came from which run; `added` is written by hand if rows are added later."""
    later = "".join(
        f" The rows of {rows['checks']} were added on {rows['date']}: {rows['how']}."
        for rows in run.get("added", ())
    )
    return textwrap.fill(RUN.format(date=run["date"], later=later), WIDTH) + "\n"


def _tools(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    ours = {"name": OURS, "by_hand": False, "version": ""}
    return [ours, *(tool for tool in run["tools"] if tool["version"])]


def _count_found(run: Mapping[str, Any], tool: str, check: str) -> tuple[int, int, int]:
    """Count a check's planted defects that a tool found, all of them, and those not tried."""
    good = set(run["cases"][0]["complaints"].get(tool) or ())
    complaints = [
        case["complaints"].get(tool)
        for case in run["cases"]
        if case["check"] == check and case["planted"]
    ]
    hits = [each for each in complaints if each and _is_found(tool, check, set(each) - good)]
    return len(hits), len(complaints), sum(each is None for each in complaints)


def _is_found(tool: str, check: str, new: set[str]) -> bool:
    return check in new if tool == OURS else bool(new)


def _finds(run: Mapping[str, Any], ids: list[str], documented: Mapping[str, Any]) -> Iterator[str]:
    tools = _tools(run)
    names = [SHORT.get(tool["name"], tool["name"]) for tool in tools]
    yield "| check | " + " | ".join([*names, *(f"{name} \\*" for name in documented)]) + " |"
    yield "|---" * (len(names) + len(documented) + 1) + "|"
    for check in ids:
        cells = [_cell(tool, *_count_found(run, tool["name"], check)) for tool in tools]
        cells += [entry["finds"].get(check, ["-"])[0] for entry in documented.values()]
        yield f"| {check} | " + " | ".join(cells) + " |"
    yield "\n\\* by its documentation: not run."


def _cell(tool: Mapping[str, Any], hits: int, total: int, untried: int) -> str:
    if untried == total:
        return "n/t"
    share = "" if hits == total else f"{hits}/{total}"
    if not hits:
        return "-"
    if tool["by_hand"]:
        return f"hand {share}".strip()
    return f"**yes** {share}".strip()


def _summary(run: Mapping[str, Any], documented: Mapping[str, Any]) -> Iterator[str]:
    headings = ("tool", "version", "input", "rules", "checks with every defect found")
    headings += ("defects found", "alarms on the good project", "alarms on near misses", "time")
    yield f"| {' | '.join(headings)} |"
    yield "|---" * len(headings) + "|"
    cases = run["cases"]
    ids = sorted({case["check"] for case in cases if case["planted"]})
    for tool in _tools(run):
        name = tool["name"]
        hits = [_count_found(run, name, check) for check in ids]
        alarms = len(cases[0]["complaints"].get(name) or ())
        near = sum(bool(new) for _, new in _near(run, name))
        if name == OURS:
            inputs, rules = "images, stack, files", "its own, with the contract"
            seconds = f"{run['speed']['running stack']:g} s"
        else:
            inputs = tool["looks"]
            rules = "by hand" if tool["by_hand"] else "its own"
            seconds = f"{tool['seconds']:g} s"
        yield (
            f"| {SHORT.get(name, name)} | {tool['version'] or '-'} | {inputs} | {rules} "
            f"| {sum(hit == total for hit, total, _ in hits)} of {len(ids)} "
            f"| {sum(hit for hit, _, _ in hits)} of {sum(total for _, total, _ in hits)} "
            f"| {alarms} | {near} | {seconds} |"
        )
    together = _found_together(run)
    complete = sum(map(all, together.values()))
    yield (
        f"| all other tools that ran, together | | | | {complete} of {len(ids)} "
        f"| {sum(map(sum, together.values()))} of {sum(map(len, together.values()))} | | | |"
    )
    for name, entry in documented.items():
        complete = sum(word == "yes" for word, _ in entry["finds"].values())
        yield (
            f"| {name} \\* | - | image | its own | {complete} of {len(ids)} | | "
            f"| {len(entry['alarms'])} | not run |"
        )
    missing = [tool["name"] for tool in run["tools"] if not tool["version"]]
    if missing:
        yield f"\nNot installed on the machine of this run: {', '.join(missing)}."


def _found_together(run: Mapping[str, Any]) -> dict[str, list[bool]]:
    """Return by check whether any peer found each planted defect."""
    peers = [tool["name"] for tool in _tools(run) if tool["name"] != OURS]
    good = run["cases"][0]["complaints"]
    found: dict[str, list[bool]] = {}
    for case in run["cases"]:
        if case["planted"]:
            hits = (set(case["complaints"].get(p) or ()) - set(good.get(p) or ()) for p in peers)
            found.setdefault(case["check"], []).append(any(hits))
    return found


def _speed(run: Mapping[str, Any]) -> Iterator[str]:
    speed = run["speed"]
    yield "| images | `./inv verify --static` | other tools | their sum | ratio |"
    yield "|---|---|---|---|---|"
    for pair in speed["pairs"]:
        peers = ", ".join(SHORT.get(name, name) for name in pair["peers"])
        ratio = pair["ours"] / pair["theirs"]
        yield (
            f"| {pair['what']} | {pair['ours']:g} s | {peers} | {pair['theirs']:g} s "
            f"| {ratio:.2f} |"
        )
    own = speed["unchanged images"] - speed["interpreter"]
    text = (
        f"With cached facts of unchanged images, `./inv verify --static` takes "
        f"{speed['unchanged images']:g} s ({own:.2f} s without the start of Python), and "
        f"`./inv verify` on a running stack {speed['running stack']:g} s. Reading the image of "
        f"2 GB takes at most {speed['peak MB, 2 GB image']} MB of memory."
    )
    yield "\n" + textwrap.fill(text, WIDTH)


def _near(run: Mapping[str, Any], tool: str) -> Iterator[tuple[str, set[str]]]:
    good = set(run["cases"][0]["complaints"].get(tool) or ())
    for case in run["cases"]:
        if case["check"] and not case["planted"]:
            yield case["case"], set(case["complaints"].get(tool) or ()) - good


def _alarms(run: Mapping[str, Any], documented: Mapping[str, Any]) -> Iterator[str]:
    yield "| tool | case | complaint |"
    yield "|---|---|---|"
    for tool in _tools(run):
        name = tool["name"]
        cases = [("the good project", set(run["cases"][0]["complaints"].get(name) or ()))]
        for case, new in (*cases, *_near(run, name)):
            for complaint in sorted(new):
                text = " ".join(complaint.replace("|", " ").split())
                yield f"| {SHORT.get(name, name)} | {case} | {text[:MAX_COMPLAINT]} |"
    for name, entry in documented.items():
        for case in entry["alarms"]:
            yield f"| {name} \\* | {case} | by its documentation |"
