"""Checks stack.*: the file for a Docker Swarm."""
