"""Who asked, who answered, who moved the model: the log of it, and `headrace audit`."""
