"""Shipped for your tests: contracts of strategies, budgets and models, and simulated annotators."""

from . import oracles
from .checks import check_budget, check_model, check_strategy

__all__ = ["check_budget", "check_model", "check_strategy", "oracles"]
