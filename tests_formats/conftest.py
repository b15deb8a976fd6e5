"""What is in `inside/` runs beside a labelling tool, and can't be imported here."""

collect_ignore = ["inside"]
