"""`headrace pilot`."""
