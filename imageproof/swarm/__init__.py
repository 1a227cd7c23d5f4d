"""The stack on a Docker Swarm: planned, deployed, waited for, taken back. Swarm does the work."""
