"""Optional language model: it writes a summary and may raise the risk, never lower it."""

from worker.llm.opinion import Opinion, summarize
from worker.llm.settings import LlmSettings, MissingReason

__all__ = ["LlmSettings", "MissingReason", "Opinion", "summarize"]
