"""Where modules were before; what is started by its old name still is."""
