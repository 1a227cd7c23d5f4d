"""The line as a whole: the steps that take more than one part of the library.

What only some of them need is imported by them: checks and reports take as long as a build that
finds nothing changed.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imageproof import console
from imageproof.build import bake as builds
from imageproof.build import base_image as bases
from imageproof.build.git import is_edited
from imageproof.build.options import Options, locate
from imageproof.commands.passed import Passed, digest_of
from imageproof.docker.client import Engine, environment
from imageproof.docker.errors import translating
from imageproof.docker.image_refs import references
from imageproof.errors import UsageError, VerifyFailed
from imageproof.registry.reference import parse_prefix, parse_tag
from imageproof.report import summary
from imageproof.stack import compose

if TYPE_CHECKING:
    from imageproof.build.bake import Built
    from imageproof.contract import Contract
    from imageproof.release.manifest import Release
    from imageproof.verify.judge import Verdict
    from imageproof.verify.run import Request

WATCH_FILE = "compose/development.yaml"
SBOMS = ".imageproof/sbom"


def build(
    contract: Contract, engine: Engine, image: str | None, options: Options | None = None
) -> Built:
    """Build, and show what came of it."""
    engine, options = locate(engine, options or Options())
    result = builds.build(contract, engine, image, options)
    summary.built(result, _sizes(contract, engine, result, options.platforms))
    return result


def _sizes(
    contract: Contract, engine: Engine, built: Built, platforms: Sequence[str]
) -> dict[str, int]:
    """Bytes of each image's layers, of the first platform; they are read once an image."""
    passed, ids = Passed(contract.root), digest_of(built.ids) if built.ids else None
    if known := passed.find("size", ids):
        return known
    from imageproof.image.sources import read_images

    platform = platforms[0] if platforms else None
    facts = read_images(engine, list(built.references.values()), contract.cache, platform)
    named = {name: facts[reference] for name, reference in built.references.items()}
    sizes = {name: found.size for name, found in named.items() if found}
    passed.keep("size", ids, **sizes)
    return sizes


def lint(contract: Contract, engine: Engine) -> None:
    """Run every linter, and say that all is well."""
    from imageproof.commands.lint import lint

    console.step("lint")
    lint(contract, engine)
    console.done("lint")


def verify(
    contract: Contract, engine: Engine, request: Request, form: str, output: str | None
) -> None:
    """Verify, and show the verdict. Raises VerifyFailed when something falls short."""
    from imageproof.report import formats
    from imageproof.verify.run import verify

    formats.known(form)
    verdict = verify(contract, engine, request)
    formats.render(verdict, form, output)
    _must_hold(verdict)


def _must_hold(verdict: Verdict) -> None:
    from imageproof.report.table import count

    if not verdict.holds:
        raise VerifyFailed(
            "verifying", count(verdict), hint="`./inv explain ID` says why a check matters"
        )


def verify_quietly(contract: Contract, engine: Engine, *, running: bool) -> str:
    """The verdict in one line where all holds; the whole table, and VerifyFailed, where not."""
    from imageproof.report.table import count
    from imageproof.verify.run import Request, verify

    verdict = verify(contract, engine, Request(running=running, static=not running))
    _all_must_hold([verdict])
    return f"verify: {count(verdict)}"


def push(
    contract: Contract, engine: Engine, prefix: str, tag: str | None, output: str | None
) -> None:
    """Verify, push what holds, and write down what arrived. Raises VerifyFailed."""
    from imageproof.release import push
    from imageproof.verify.run import Request, verify

    place = parse_prefix(prefix)
    name = parse_tag(tag) if tag else builds.default_tag(contract.root)
    verdict = verify(contract, engine, Request(static=True))
    _all_must_hold([verdict])
    if is_edited(contract.root):
        console.warn(
            "files were edited since the commit: the release's revision does not say it all"
        )
    console.step(f"push to {place}")
    _released(contract, push.push(contract, engine, verdict, place, name), output)


def promote(
    contract: Contract, engine: Engine, source: str, to: str, tag: str | None, output: str | None
) -> None:
    """Verify what is in a registry, and copy what holds to another place. Raises VerifyFailed."""
    from imageproof.release import push
    from imageproof.verify.run import Request, verify

    place, name = parse_prefix(to), parse_tag(tag) if tag else None
    images, release = push.sources(contract, source)
    verdicts = {
        name: [
            verify(contract, engine, Request(name, image.place, static=True, platform=platform))
            for platform in image.platforms
        ]
        for name, image in images.items()
    }
    _all_must_hold([verdict for each in verdicts.values() for verdict in each])
    console.step(f"promote to {place}")
    made = push.promote(contract, images, verdicts, place, name, release)
    _released(contract, made, output)


def _all_must_hold(verdicts: Sequence[Verdict]) -> None:
    """Show each verdict that does not hold. Raises VerifyFailed for the first of them."""
    from imageproof.report import formats

    failed = [verdict for verdict in verdicts if not verdict.holds]
    for verdict in failed:
        formats.render(verdict, "table", None)
    for verdict in failed:
        _must_hold(verdict)


def _released(contract: Contract, release: Release, output: str | None) -> None:
    from imageproof.release.manifest import FILE, write

    path = Path(output) if output else contract.root / FILE
    write(release, path)
    summary.released(release)
    console.done(f"written to {path}")


def size(contract: Contract, engine: Engine, image: str | None, *, record: bool = False) -> None:
    """Where the bytes are, and what changed; or record what is now."""
    from imageproof.project.record import write_baselines
    from imageproof.verify.run import Request, verify

    request = Request(image=image, static=True, only="size.budget")
    subjects = verify(contract, engine, request).subjects
    if record:
        seen = {subject.name: subject.image for subject in subjects if subject.image}
        path = write_baselines(contract, seen)
        console.done(f"recorded in {path.relative_to(contract.root)}: {', '.join(seen)}")
        return
    summary.sizes(subjects)


def sbom(contract: Contract, engine: Engine, image: str | None, output: str | None) -> None:
    """A bill of materials of each image, in a folder; of one image, on standard output unless a
    folder is named. Raises UsageError for an image that is not there."""
    from imageproof.report.sbom import as_cyclonedx
    from imageproof.verify.run import parse_request, verify

    request = parse_request(image, "size.budget", static=True)
    found = {s.name: s.image for s in verify(contract, engine, request).subjects if s.image}
    texts = {name: as_cyclonedx(name, facts) for name, facts in found.items()}
    if image and output is None:
        console.write("".join(texts.values()))
        return
    folder = Path(output or contract.root / SBOMS)
    for name, text in texts.items():
        path = folder / f"{name}.cdx.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        except OSError as error:
            raise UsageError(f"writing {path}", error.strerror or str(error)) from error
        console.write(str(path))


def watch(contract: Contract, engine: Engine) -> None:
    """Rebuild and replace a service when its code changes (docker compose watch)."""
    file = contract.root / WATCH_FILE
    if not file.exists():
        raise UsageError("watching the code", f"there is no {WATCH_FILE}")
    variables = builds.build_variables(contract, bases.resolve(contract, engine))
    watching = Engine((*engine.compose_files, file), engine.project, variables)
    console.step("watch (Ctrl-C ends it; the stack goes on)")
    with (
        translating("watching the code"),
        environment(variables),
        contextlib.suppress(KeyboardInterrupt),
    ):
        watching.foreground("watch")


def clean(contract: Contract, engine: Engine, *, base: bool) -> None:
    """Remove the stack, the contract's images, and the facts that were kept of them."""
    engine.require()
    made = list(references(contract, engine).values())
    compose.down(engine, volumes=True)
    if base:
        made.append(contract.base.made)
    for reference in made:
        if engine.image(reference):
            console.say(f"  removing {reference}")
            with translating(f"removing the image {reference}"):
                engine.docker.image.remove(reference, force=True)
    shutil.rmtree(contract.cache, ignore_errors=True)
    console.done("clean")
