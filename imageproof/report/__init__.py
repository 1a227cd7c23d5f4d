"""Reports: results and summaries, for people and for machines."""
