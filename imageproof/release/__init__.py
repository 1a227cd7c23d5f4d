"""Releases: push and promote verified images, and record their digests in a release file."""
