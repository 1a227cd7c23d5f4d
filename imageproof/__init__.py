"""imageproof."""
