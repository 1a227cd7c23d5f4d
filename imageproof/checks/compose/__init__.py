"""Checks compose.*: hardening, exposure and pinning of services."""
