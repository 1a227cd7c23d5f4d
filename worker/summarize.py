"""Query of the language model in a process of its own (``worker/summarize_child.py``).

A server's response is untrusted, and a name lookup cannot be interrupted; a process can be killed.
"""

import json
import logging
from dataclasses import dataclass

from worker.child import Bounds, ChildError, Children, python_command
from worker.llm import LlmSettings, MissingReason, Opinion

log = logging.getLogger(__name__)
START_SECONDS = 10.0
"""Time in which the process starts, in addition to the request's own timeout."""
_DATA_BYTES = 256 * 1024 * 1024
_OUTPUT_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Summarizer:
    """Author of summaries; `llm.timeout` limits each request."""

    llm: LlmSettings

    def __call__(self, children: Children, data: str, risk: float) -> Opinion:
        """Return the model's opinion. A failure is not an error: a review goes on without it.

        Args:
            children: runs the process.
            data: description of the upgrade.
            risk: the assessed risk.

        Raises:
            Cancelled: the job was cancelled.
        """
        if self.llm.provider == "none":
            return Opinion(risk, missing=MissingReason.DISABLED)
        opinion, detail = self._query(children, data, risk)
        if opinion.missing:
            fields = {"reason": opinion.missing.value, "provider": self.llm.provider}
            log.warning("no summary", extra={**fields, "detail": detail})
        return opinion

    def _query(self, children: Children, data: str, risk: float) -> tuple[Opinion, str]:
        request = {"llm": self.llm.as_json(), "data": data, "risk": risk}
        command = python_command("worker.summarize_child")
        bounds = Bounds(self.llm.timeout + START_SECONDS, _DATA_BYTES, _OUTPUT_BYTES)
        try:
            result = children.run(command, json.dumps(request).encode(), bounds)
        except ChildError as error:
            reason = MissingReason.TIMEOUT if error.limit == "time" else MissingReason.FAILED
            return Opinion(risk, missing=reason), str(error)
        if result.exit_status != 0:
            return Opinion(risk, missing=MissingReason.FAILED), result.stderr_end
        return Opinion.from_json(json.loads(result.stdout)), result.stderr_end
