"""Process that queries the language model: ``python -m worker.summarize_child``.

worker/summarize.py runs it. Its stdin is JSON, {llm, data, risk}; its stdout is an `Opinion` as
JSON. The key is in neither its arguments nor its environment.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from worker.child_main import run
from worker.llm import LlmSettings
from worker.llm.opinion import summarize


def answer(request: bytes) -> dict[str, Any]:
    """Return the opinion for a request, as JSON values."""
    fields = json.loads(request)
    llm = LlmSettings.from_json(fields["llm"])
    return asdict(summarize(llm, fields["data"], fields["risk"]))


if __name__ == "__main__":
    sys.exit(run(answer))
