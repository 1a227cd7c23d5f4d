"""The API: settings, log, routes, and the job model that the worker shares."""
