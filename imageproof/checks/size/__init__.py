"""Checks size.*: budget, waste and growth."""
