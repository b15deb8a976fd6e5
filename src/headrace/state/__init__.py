"""What is held, as bytes: our own as data, models as a pickle."""
