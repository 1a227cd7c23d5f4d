"""The Docker engine and Compose: client, errors, compose files, environment variables."""
