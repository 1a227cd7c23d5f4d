"""Running containers: the compose stack, and single containers beside it."""
