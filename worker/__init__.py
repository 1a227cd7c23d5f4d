"""The worker: claims jobs from the queue and reviews npm upgrades."""
