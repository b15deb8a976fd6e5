"""`headrace erase --settings`: erase a person from workers on Kafka.

The order is sent to the topic of answers, with digests instead of names. The person's labels are
looked up in the training log first, since an example in a model's memory lacks its event's key.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec

from ...adapters.sealing import load_sealer
from ...bridges.bridge import Unreachable
from ...drivers.audit.acts import find_user, open_worker_acts
from ...drivers.kafka.orders_end import KafkaOrders
from ...errors import BadInput
from ...messages import ErasureOrdered
from ...privacy.subject import DIGEST_BYTES, Subject, digest_of
from ...query.requests import request_id
from ...settings import load_for_kafka
from ..ordering import EXIT_LATER, EXIT_NOTHING, POLL_S, name_order

EXIT_LEFT = 1
IDS_MAX = 1_000
"""The most requests that one order names, about 35 kB; more make several orders."""


def erase_from_workers(arguments: argparse.Namespace, event_ids: list[str]) -> int:
    """Order an erasure from the workers of `--settings`, print the outcome; return the exit code.

    Raises `BadSettings`, and `BadInput` while no broker answers.
    """
    settings = load_for_kafka(arguments.settings)
    at, key = name_order(arguments.key)
    by, subjects = arguments.by or settings.retention.subject, list(arguments.subject)
    if by == "id":
        event_ids, subjects = [*event_ids, *subjects], []
    asked = {request_id(settings.stream, name) for name in event_ids}
    salt = secrets.token_hex(DIGEST_BYTES)
    order = ErasureOrdered(
        at=at,
        key=key,
        field=by if subjects else "",
        values=tuple(dict.fromkeys(digest_of(name, salt) for name in subjects)),
        salt=salt if subjects else "",
        by=find_user(),
    )
    subject, sealer = Subject(order), load_sealer(settings.sealing, settings.stream)
    try:
        with closing(KafkaOrders(settings.kafka, sealer)) as orders:
            labelled = orders.labelled_requests(
                lambda label: (
                    label.request_id in asked or subject.names_event("", label.key, label.features)
                )
            )
            pieces = list(_split_order(order, sorted(asked | labelled), labelled))
            ends = orders.event_ends()
            is_new = [orders.place(piece) for piece in pieces]
            if any(is_new):
                open_worker_acts(arguments.settings, settings).record("erasure_ordered", key=key)
                sys.stdout.write(f"ordered: key {key}\n")
            else:
                sys.stdout.write(f"ordered before, so nothing was done: key {key}\n")
            sys.stdout.flush()
            return _await_ends(orders, pieces, ends, arguments.wait)
    except Unreachable as error:
        raise BadInput(str(error)) from error


def _split_order(
    order: ErasureOrdered, request_ids: list[str], labelled: set[str]
) -> Iterator[ErasureOrdered]:
    """Yield the order, split where it names many requests; the first has the person's digests."""
    starts = range(0, max(1, len(request_ids)), IDS_MAX)
    for n, start in enumerate(starts):
        ids = tuple(request_ids[start : start + IDS_MAX])
        piece = msgspec.structs.replace(
            order, request_ids=ids, is_learned=not labelled.isdisjoint(ids)
        )
        if n:
            piece = msgspec.structs.replace(
                piece, key=f"{order.key}:{n}", field="", values=(), salt=""
            )
        yield piece


def _await_ends(
    orders: KafkaOrders, pieces: list[ErasureOrdered], ends: dict[int, int], wait_s: float
) -> int:
    """Print what becomes of the orders within `wait_s` seconds; return the exit code."""
    until = time.monotonic() + wait_s
    while True:
        outcomes = [orders.find_order(piece) or {"state": "ordered"} for piece in pieces]
        if all(outcome["state"] == "erased" for outcome in outcomes):
            return _report_erasure(outcomes, ends)
        if time.monotonic() >= until:
            sys.stdout.write(f"not carried out within {wait_s:g} s; {orders.going_on}\n")
            return EXIT_LATER
        time.sleep(POLL_S)


def _report_erasure(found: list[dict[str, Any]], ends: dict[int, int]) -> int:
    """Print what was erased and what is left; return the exit code."""
    erased: Counter[str] = Counter()
    for outcome in found:
        erased.update(outcome["erased"])
    parts = [f"{where} {n:,}" for where, n in sorted(erased.items())]
    is_refitted = any(outcome["is_refitted"] for outcome in found)
    more = "; the models were made anew" if is_refitted else ""
    sys.stdout.write(f"erased: {', '.join(parts) or 'nothing was found'}{more}\n")
    is_left = False
    for partition, end in sorted(ends.items()):
        read = min(outcome["stops"].get(partition, end) for outcome in found)
        if read < end:
            is_left = True
            sys.stdout.write(
                f"left: events {read} to {end} of partition {partition} were written before the "
                "order and read after it: give the command again\n"
            )
    if is_left:
        return EXIT_LEFT
    return 0 if erased or is_refitted else EXIT_NOTHING
