"""Checks base.*: the labels that name the base, and the end of life of its components."""
