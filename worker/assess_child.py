"""Process that assesses one upgrade: ``python -m worker.assess_child``, run by worker/assess.py.

Its stdin is a line of JSON, {package, for_llm}, and the answer of the diff program. Its stdout is
an `Assessed` as JSON.
"""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from worker.change import Change
from worker.child_main import run
from worker.npm_diff import parse_answer
from worker.risk import assess


def answer(request: bytes) -> dict[str, Any]:
    """Return the assessment for a request, as JSON values."""
    header, _, diff = request.partition(b"\n")
    del request  # as large as `diff`
    options = json.loads(header)
    change = parse_answer(options["package"], diff)
    assessment = assess(change, datetime.now(UTC))
    llm_data = ""
    if options["for_llm"]:
        from worker.llm.prompt import describe

        llm_data = describe(change, assessment)
    return {
        "from_version": change.old.version,
        "to_version": change.new.version,
        "risk": assessment.risk,
        "findings": [asdict(finding) for finding in assessment.findings],
        "statistics": _statistics(change),
        "diff": change.diff,
        "diff_truncated": change.truncated,
        "llm_data": llm_data,
    }


def _statistics(change: Change) -> dict[str, int]:
    statuses = [file.status for file in change.files]
    return {
        "files_added": statuses.count("added"),
        "files_removed": statuses.count("removed"),
        "files_modified": statuses.count("modified"),
        # Not counted from the files' lines: limits may have cut those.
        "lines_added": change.stats["lines_added"],
        "lines_removed": change.stats["lines_removed"],
        "unpacked_bytes_before": change.old.unpacked_bytes,
        "unpacked_bytes": change.new.unpacked_bytes,
    }


if __name__ == "__main__":
    sys.exit(run(answer))
