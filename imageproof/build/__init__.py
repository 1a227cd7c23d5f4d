"""Building of images: the base image, buildx bake, and BuildKit's progress."""
