"""The machine that builds: prerequisites and provisioning."""
