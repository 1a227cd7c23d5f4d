"""Checks run.*: the running service: processes, confinement, health, stopping."""
