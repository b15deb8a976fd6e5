"""What people look at: plots, parts of pages, the live view."""
