"""Deployment of the stack to a Docker Swarm: plan, deploy, wait, roll back."""
