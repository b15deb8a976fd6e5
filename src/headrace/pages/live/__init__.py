"""The live terminal view of a report."""
