"""The embedded driver: one engine between files."""
