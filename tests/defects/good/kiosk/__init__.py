"""A kiosk: `web` greets, `job` goes its rounds."""
