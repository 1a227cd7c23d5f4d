"""Facts of what runs: the containers of a stack, and the programs of an image."""
