"""A kiosk: `web` greets, `job` runs in the background."""
