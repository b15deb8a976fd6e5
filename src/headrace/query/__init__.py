"""Which events are worth a label: what to ask (strategies), how much (budgets), when (rounds)."""
