"""The comparison as a page: who catches what, with what false alarms, and in what time."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OURS = "ops"
MOST_SAID = 140  # characters of a complaint
SHORT = {
    OURS: "`./inv verify`",
    "container-structure-test": "c-s-t",
    "docker-bench-security": "docker-bench",
}
HEAD = """\
# Comparison with peers

Made by `./inv bench --peers` on {date}; by hand nothing is written here. The corpus is
[tests/defects](../tests/defects): a good project with two images, {defects} planted faults (one or
more for each of the {checks} checks), {near} near misses that must pass. Each tool was given the
same corpus, with a configuration of its own in [tests/peers](../tests/peers). What each said of
each case stands in [comparison.json](comparison.json).

The corpus is this project's own, made to show that each of its checks is able to fail: that
`./inv verify` finds all of it is the claim that the run holds it to, and no wonder. What the table
shows is what a team would have to add to the other tools.

Machine: {processors} processors, {memory_gib} GiB, {architecture}, engine {engine},
Python {python}.
"""
LEGEND = """\
**yes**: found, by a rule that the tool brings. hand: found, by a rule that was written by hand for
this project. 1/3: one of three planted faults. -: not found. n/t: not tried, since the fault is
unsafe to start. A find is what a tool says of the fault, and not of the good project.
"""
SPEED = """\
Medians of three, in turns, in the same run. Cold: nothing is known of the images. Each tool is
asked about both images one after the other, as a pipeline would; compose-lint reads the one file.
Times in the table above are of one image or service; that of `./inv verify` is of both, and of the
running stack.

Cold, dive is faster. Both wait for `docker save`, which writes out all of the images before its
first byte; what `./inv verify` adds is the start of Python and of Compose, and a look into each
file (a digest, packages, secrets), where dive counts bytes.
"""
NOTES = """\
- container-structure-test and goss find what somebody thought of asking. Their files here ask what
  the contract says, as far as they are able to.
- goss: dgoss needs a shell in the image, which the good image does not have. It runs in a container
  beside the service that shares its processes and network, and sees its files in /proc/1/root.
- syft lists packages and judges nothing. The rule by hand: each is in a lock file, or among the
  distribution's packages that the contract names.
- dive: its bound of wasted bytes is the contract's, 100 kB.
- docker-bench-security: sections 4 and 5, on the running container of each case.
- hadolint reads the Dockerfile, compose-lint the compose file with what is laid over it.
- dockle and Trivy could not be had here. Their columns are what their documentation and sources
  say, and were not run: {sources}.
"""


def page(found: Mapping[str, Any]) -> str:
    """The whole of docs/comparison.md."""
    documented = tomllib.loads((HERE / "documented.toml").read_text())
    cases = found["cases"]
    defects = [case for case in cases if case["planted"]]
    ids = sorted({case["check"] for case in defects})
    near = [case for case in cases if case["check"] and not case["planted"]]
    head = HEAD.format(
        date=found["date"], defects=len(defects), checks=len(ids), near=len(near),
        **found["machine"],
    )  # fmt: skip
    sources = ", ".join(
        f"[{name} {number}]({link})"
        for name, entry in documented.items()
        for number, link in enumerate(entry["sources"], 1)
    )
    parts = [
        head,
        "## Summary\n",
        "\n".join(_summary(found, documented)),
        "\n## Speed\n",
        SPEED,
        "\n".join(_speed(found)),
        "\n## What each finds\n",
        LEGEND,
        "\n".join(_finds(found, ids, documented)),
        "\n## False alarms\n",
        "\n".join(_alarms(found, documented)),
        "\n## How they were asked\n",
        NOTES.format(sources=sources),
    ]
    return "\n".join(parts)


def _tools(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    ours = {"name": OURS, "by_hand": False, "version": ""}
    return [ours, *(tool for tool in found["tools"] if tool["version"])]


def _caught(found: Mapping[str, Any], tool: str, check: str) -> tuple[int, int, int]:
    """How many of a check's planted faults a tool found; of how many; how many were not tried."""
    good = set(found["cases"][0]["complaints"].get(tool) or ())
    said = [
        case["complaints"].get(tool)
        for case in found["cases"]
        if case["check"] == check and case["planted"]
    ]
    hit = [answer for answer in said if answer and _counts(tool, check, set(answer) - good)]
    return len(hit), len(said), sum(answer is None for answer in said)


def _counts(tool: str, check: str, new: set[str]) -> bool:
    return check in new if tool == OURS else bool(new)


def _finds(
    found: Mapping[str, Any], ids: list[str], documented: Mapping[str, Any]
) -> Iterator[str]:
    tools = _tools(found)
    names = [SHORT.get(tool["name"], tool["name"]) for tool in tools]
    yield "| check | " + " | ".join([*names, *(f"{name} \\*" for name in documented)]) + " |"
    yield "|---" * (len(names) + len(documented) + 1) + "|"
    for check in ids:
        cells = [_cell(tool, *_caught(found, tool["name"], check)) for tool in tools]
        cells += [entry["finds"].get(check, ["-"])[0] for entry in documented.values()]
        yield f"| {check} | " + " | ".join(cells) + " |"
    yield "\n\\* by its documentation, not run."


def _cell(tool: Mapping[str, Any], hit: int, total: int, untried: int) -> str:
    if untried == total:
        return "n/t"
    share = "" if hit == total else f"{hit}/{total}"
    if not hit:
        return "-"
    if tool["by_hand"]:
        return f"hand {share}".strip()
    return f"**yes** {share}".strip()


def _summary(found: Mapping[str, Any], documented: Mapping[str, Any]) -> Iterator[str]:
    heads = ("tool", "version", "looks at", "rules", "checks all of whose faults it finds")
    heads += ("faults", "alarms on the good project", "on near misses", "time")
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    cases = found["cases"]
    ids = sorted({case["check"] for case in cases if case["planted"]})
    for tool in _tools(found):
        name = tool["name"]
        hits = [_caught(found, name, check) for check in ids]
        alarms = len(cases[0]["complaints"].get(name) or ())
        near = sum(bool(new) for _, new in _near(found, name))
        if name == OURS:
            looks, rules = "images, stack, files", "its own, and the contract"
            taken = f"{found['speed']['running stack']:g} s"
        else:
            looks = tool["looks"]
            rules = "by hand" if tool["by_hand"] else "its own"
            taken = f"{tool['seconds']:g} s"
        yield (
            f"| {SHORT.get(name, name)} | {tool['version'] or '-'} | {looks} | {rules} "
            f"| {sum(hit == total for hit, total, _ in hits)} of {len(ids)} "
            f"| {sum(hit for hit, _, _ in hits)} of {sum(total for _, total, _ in hits)} "
            f"| {alarms} | {near} | {taken} |"
        )
    caught = _together(found)
    whole = sum(map(all, caught.values()))
    yield (
        f"| all peers that were run, together | | | | {whole} of {len(ids)} "
        f"| {sum(map(sum, caught.values()))} of {sum(map(len, caught.values()))} | | | |"
    )
    for name, entry in documented.items():
        whole = sum(word == "yes" for word, _ in entry["finds"].values())
        yield (
            f"| {name} \\* | - | image | its own | {whole} of {len(ids)} | | "
            f"| {len(entry['alarms'])} | not run |"
        )
    missing = [tool["name"] for tool in found["tools"] if not tool["version"]]
    if missing:
        yield f"\nNot to be had on the machine of this run: {', '.join(missing)}."


def _together(found: Mapping[str, Any]) -> dict[str, list[bool]]:
    """By check, of each planted fault whether any of the peers found it, by hand or not."""
    peers = [tool["name"] for tool in _tools(found) if tool["name"] != OURS]
    good = found["cases"][0]["complaints"]
    caught: dict[str, list[bool]] = {}
    for case in found["cases"]:
        if case["planted"]:
            hits = (set(case["complaints"].get(p) or ()) - set(good.get(p) or ()) for p in peers)
            caught.setdefault(case["check"], []).append(any(hits))
    return caught


def _speed(found: Mapping[str, Any]) -> Iterator[str]:
    speed = found["speed"]
    yield "| over | `./inv verify --static` | peers | their sum | ratio |"
    yield "|---|---|---|---|---|"
    for pair in speed["pairs"]:
        peers = ", ".join(SHORT.get(name, name) for name in pair["peers"])
        ratio = pair["ours"] / pair["theirs"]
        yield (
            f"| {pair['what']} | {pair['ours']:g} s | {peers} | {pair['theirs']:g} s "
            f"| {ratio:.2f} |"
        )
    beyond = speed["unchanged images"] - speed["interpreter"]
    yield (
        f"\nImages that did not change since: {speed['unchanged images']:g} s, {beyond:.2f} s of "
        f"it beyond the start of the interpreter. With the running stack, of images that did not "
        f"change: {speed['running stack']:g} s. The most memory that reading the image of 2 GB "
        f"took: {speed['peak MB, 2 GB image']} MB."
    )


def _near(found: Mapping[str, Any], tool: str) -> Iterator[tuple[str, set[str]]]:
    good = set(found["cases"][0]["complaints"].get(tool) or ())
    for case in found["cases"]:
        if case["check"] and not case["planted"]:
            yield case["case"], set(case["complaints"].get(tool) or ()) - good


def _alarms(found: Mapping[str, Any], documented: Mapping[str, Any]) -> Iterator[str]:
    yield "| tool | where | what it says |"
    yield "|---|---|---|"
    for tool in _tools(found):
        name = tool["name"]
        places = [("the good project", set(found["cases"][0]["complaints"].get(name) or ()))]
        for place, new in (*places, *_near(found, name)):
            for said in sorted(new):
                words = " ".join(said.replace("|", " ").split())
                yield f"| {SHORT.get(name, name)} | {place} | {words[:MOST_SAID]} |"
    for name, entry in documented.items():
        for place in entry["alarms"]:
            yield f"| {name} \\* | {place} | by its documentation |"
