"""For your own tests: checks of objects that you pass to Headrace, and simulated annotators."""

from . import oracles
from .bridges import check_bridge
from .checks import check_budget, check_detector, check_model, check_strategy
from .online import check_online
from .readers import check_decoder, check_format
from .workflows import check_workflow

__all__ = [
    "check_bridge",
    "check_budget",
    "check_decoder",
    "check_detector",
    "check_format",
    "check_model",
    "check_online",
    "check_strategy",
    "check_workflow",
    "oracles",
]
