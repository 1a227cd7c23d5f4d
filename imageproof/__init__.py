"""imageproof: builds, verifies and runs container images by contract."""

__version__ = "0.3.0"
