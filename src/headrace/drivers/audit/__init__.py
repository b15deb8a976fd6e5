"""The audit log of who asked, who answered and who changed the model, and `headrace audit`."""
