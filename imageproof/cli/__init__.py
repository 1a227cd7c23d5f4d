"""Command line: commands as Invoke tasks, help, exit statuses.

Each command imports its modules when it runs, so that help and short commands start fast.
"""
