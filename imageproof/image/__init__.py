"""Facts of an image: its configuration, layers, files, packages and sizes."""
