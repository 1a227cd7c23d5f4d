"""The line: builds, lints, verifies and runs the images that a contract describes."""
