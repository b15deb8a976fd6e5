"""The report as metrics, and how they are served."""
