"""One engine between files."""
