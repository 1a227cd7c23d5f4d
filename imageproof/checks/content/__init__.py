"""Checks content.*: packages, programs and files that an image contains or lacks."""
