"""A worker without I/O: what it is told, and what it wants done (`flow.Flow`)."""
