"""A committee of members that learn much from each label; the default model."""
