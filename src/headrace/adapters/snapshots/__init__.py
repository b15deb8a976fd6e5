"""Signed snapshots, in folders and remote places."""
