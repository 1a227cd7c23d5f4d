"""Around the diff program: what the image's build does with it. None of it ships."""
