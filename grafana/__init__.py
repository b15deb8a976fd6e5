"""The dashboards, and the Python they are built from; not part of the package that is installed."""
