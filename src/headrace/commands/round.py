"""`headrace round`: order a round from a run, or from workers on Kafka."""

from __future__ import annotations

import argparse
from typing import Any

from ..drivers.audit.acts import find_user
from ..messages import RoundOrdered
from .ordering import add_order, add_place, name_order, order_and_wait


def register(subparsers: Any) -> None:
    """Add `headrace round`."""
    parser = subparsers.add_parser("round", help="order a round of a run")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    opens = actions.add_parser(
        "open",
        help="order a round now",
        description="Order a round over the events that a run keeps: the latest, and a sample of "
        "all. A run with --follow, and workers on Kafka, open it at once; else it is opened at the "
        "end of the next `headrace run` with this --state. It is paid from the budget, what is "
        "held for drift included, and no event is asked twice. An audit draws blindly, and has a "
        "reserve of its own.",
    )
    add_place(opens)
    opens.add_argument(
        "--labels", type=int, metavar="N", help="so many at most; else all there is to spend"
    )
    opens.add_argument(
        "--audit",
        action="store_true",
        help="check the model: draw events blindly, out of what is left and "
        "query.budget.reserve_audit",
    )
    add_order(
        opens,
        record="the record of the round",
        again="nothing more is asked",
        wait="decide it; exit 3: it found nothing to ask, 75: it has not decided yet",
    )
    opens.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace round open`; return the exit code."""
    at, key = name_order(arguments.key)
    order = RoundOrdered(
        at=at,
        labels_n=arguments.labels,
        key=key,
        reason=arguments.reason,
        by=find_user(),
        is_audit=arguments.audit,
    )
    size = "all there is to spend" if order.labels_n is None else f"{order.labels_n} at most"
    what = "an audit" if order.is_audit else "a round"
    return order_and_wait(arguments, order, f"{what}, labels: {size}")
