"""Facts of the project: compose and swarm file, environment variables, lock files, sizes."""
