"""What a worker decides, without I/O: order of writing, ownership, recovery, idleness."""
