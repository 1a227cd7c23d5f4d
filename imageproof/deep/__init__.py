"""The --deep facts: trials on a copy of the stack, and two builds without cache."""
