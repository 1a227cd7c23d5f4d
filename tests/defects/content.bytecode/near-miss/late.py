"""An example to read."""
