"""The desk: a page on which people label, and the HTTP calls behind it."""
