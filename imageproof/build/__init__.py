"""Build images: the base image, buildx bake, and its progress."""
