"""A worker without I/O: it takes inputs and returns effects to carry out (`flow.Flow`)."""
