"""Observe and query over one partition of the events (`shard.Shard`)."""
