"""Reports: verdicts, summaries and bills of materials, in formats for people and machines."""
