"""Container registries: image references, credentials, a strict client, and copying."""
