"""Checks secret.*: secrets in the configuration, history, layers and logs of an image."""
