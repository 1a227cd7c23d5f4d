"""Command line: commands as Invoke tasks, help, exit statuses."""
