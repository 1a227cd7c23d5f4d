"""A container registry: names in it, credentials for it, and a strict client of its protocol."""
