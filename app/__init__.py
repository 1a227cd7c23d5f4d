"""HTTP API, and the settings, log and job model that it shares with the worker."""
