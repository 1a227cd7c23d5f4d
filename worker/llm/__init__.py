"""Optional language model: it writes a summary and may raise the risk, never lower it.

``opinion.py`` queries it. Only ``worker/summarize_child.py`` imports that module: its process may
read a server's response.
"""

from worker.llm.settings import LlmSettings, MissingReason, Opinion

__all__ = ["LlmSettings", "MissingReason", "Opinion"]
