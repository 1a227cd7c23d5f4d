"""Checks base.*: the base image, its record, its support."""
