"""A late module."""
