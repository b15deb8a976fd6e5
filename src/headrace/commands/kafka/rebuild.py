"""`headrace rebuild`: rebuild each part in turn, with a bar, a table and an exit code."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from rich.progress import Progress

from ...adapters.printing import make_console
from ...drivers.audit.acts import open_worker_acts
from ...drivers.kafka import client
from ...drivers.kafka.cluster import Cluster, connect_cluster
from ...drivers.kafka.reading import QUICK, partition_of, start_client
from ...drivers.kafka.rebuild import CUT, DIFFERS, EQUAL, Rebuild, RebuildResult
from ...drivers.kafka.states import States
from ...drivers.kafka.topics import ensure_topics
from ...errors import BadInput
from ...settings import Settings
from .shared import add_settings, load_settings, make_table, show_table

LOGS = ("events", "training", "desk", "journal")
"""The settings of the topics from which all state follows."""


async def rebuild_all(
    settings: Settings,
    *,
    is_writing: bool = False,
    note: Callable[[str], None],
    on_part: Callable[[str, int], None] = lambda name, records_n: None,
    on_read: Callable[[int], None] = lambda records_n: None,
) -> AsyncIterator[RebuildResult]:
    """Rebuild every part from the logs and yield it: the training log, then desks, then shards.

    `note` is called with why a snapshot was passed over, `on_part` with the part that begins and
    the records of all parts, `on_read` with how many were read. `is_writing` saves parts as
    snapshots. Raises `NoBroker`, `BadSettings`; `BadInput` if it writes and workers are running.
    """
    kafka = settings.kafka
    topics = {
        state.topic.setting: state.found for state in await ensure_topics(settings, create=False)
    }
    partitions_n = {
        setting: topic.partitions_n for setting, topic in topics.items() if topic is not None
    }
    states = States(settings, note, makes_key=is_writing)
    async with connect_cluster(kafka) as cluster, AsyncExitStack() as stack:
        if is_writing:
            await check_idle(cluster, kafka.group)
        committed = await cluster.read_committed(kafka.group)
        consumer = await start_client(stack, client.make_consumer(kafka, **QUICK))
        threads = stack.enter_context(ThreadPoolExecutor(1))
        work = Rebuild(
            settings,
            states,
            consumer,
            threads,
            partitions_n=partitions_n["events"],
            committed=committed,
            on_read=on_read,
            is_writing=is_writing,
        )
        records_n = await _count_records(consumer, settings, partitions_n)
        calls: list[tuple[str, Callable[[], Any]]] = [("training", work.rebuild_training)]
        desks, shards = range(partitions_n["desk"]), range(partitions_n["events"])
        calls += [(f"desk-{n}", partial(work.rebuild_desk, n)) for n in desks]
        calls += [(f"shard-{n}", partial(work.rebuild_shard, n)) for n in shards]
        for name, call in calls:
            if is_writing:
                await check_idle(cluster, kafka.group)
            on_part(name, records_n)
            yield await call()


async def check_idle(cluster: Cluster, group: str) -> None:
    """Raise `BadInput` while any worker is in the group."""
    members = await cluster.list_members(group)
    if members:
        hosts = ", ".join(sorted({f"{member.name} at {member.host}" for member in members}))
        raise BadInput(
            f"{len(members)} in the group {group} ({hosts}); stop all workers first. "
            f"One that was killed leaves after {client.SESSION_S} s"
        )


async def _count_records(consumer: Any, settings: Settings, partitions_n: dict[str, int]) -> int:
    """Count roughly the records to read; every shard also reads the training log."""
    times = {"training": 1 + partitions_n["events"]}
    tps = {
        partition_of(getattr(settings.kafka, setting), number): times.get(setting, 1)
        for setting in LOGS
        for number in range(partitions_n[setting])
    }
    first = await consumer.beginning_offsets(list(tps))
    end = await consumer.end_offsets(list(tps))
    return sum((end[tp] - first[tp]) * n for tp, n in tps.items())


# ----------------------------------------------------------------------------- headrace rebuild


def register(subparsers: Any) -> None:
    """Add `headrace rebuild`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "rebuild",
        help="prove the snapshots by the logs on Kafka",
        description="Makes the model, every desk and every shard again from the logs alone, and "
        "compares each with its newest snapshot, bit for bit. Sends nothing and moves no offset. "
        "See docs/KAFKA.md. Exit 0: nothing differs; 1: something does; 2: settings are wrong, "
        "workers run that must not, or no broker answers.",
    )
    add_settings(parser)
    parser.add_argument(
        "--write",
        action="store_true",
        help="save what differs, is missing or is newer as snapshots; only while no worker runs",
    )
    parser.set_defaults(func=command)


def command(arguments: argparse.Namespace) -> int:
    """Run `headrace rebuild`; return the exit code."""
    settings = load_settings(arguments)
    notes: list[str] = []
    parts = asyncio.run(_rebuild_shown(settings, arguments.write, notes))
    open_worker_acts(arguments.settings, settings).record(
        "rebuilt", parts={part.name: part.verdict for part in parts}, is_written=arguments.write
    )
    show_parts(parts, notes)
    return 1 if any(part.verdict == DIFFERS for part in parts) else 0


async def _rebuild_shown(
    settings: Settings, is_writing: bool, notes: list[str]
) -> list[RebuildResult]:
    console = make_console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("rebuild", total=None)
        parts = rebuild_all(
            settings,
            is_writing=is_writing,
            note=notes.append,
            on_part=lambda name, n: progress.update(task, description=name, total=n),
            on_read=lambda n: progress.advance(task, n),
        )
        return [part async for part in parts]


_COLUMNS = ("part", "records", "seconds", "state", "saved")


def show_parts(parts: Sequence[RebuildResult], notes: Sequence[str] = ()) -> None:
    """Print the parts as a table, or as plain lines where there is no terminal; then notes."""
    table = make_table()
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in ("records", "seconds") else "left")
    findings = [f"{part.name}: {sentence}" for part in parts for sentence in part.notes]
    notes = (*dict.fromkeys(notes), *findings, summarize_parts(parts))
    show_table(table, map(_make_row, parts), notes)


def summarize_parts(parts: Sequence[RebuildResult]) -> str:
    """Summarize in a sentence how many parts are proven equal, and how the others end.

    >>> names = ("training", "desk-0")
    >>> parts = [*(RebuildResult(name, EQUAL) for name in names), RebuildResult("shard-0")]
    >>> summarize_parts(parts)
    '2 of 3 parts are proven equal to their newest snapshots; 1 has none'
    """
    counted = {verdict: sum(part.verdict == verdict for part in parts) for verdict in _ENDINGS}
    endings = [f"{n} {_ENDINGS[verdict][n > 1]}" for verdict, n in counted.items() if n]
    equal_n = sum(part.verdict == EQUAL for part in parts)
    summary = f"{equal_n} of {len(parts)} parts are proven equal to their newest snapshots"
    written_n = sum(part.is_written for part in parts)
    return "; ".join([summary, *endings, *([f"{written_n} written"] if written_n else [])])


_ENDINGS = {
    "no snapshot": ("has none", "have none"),
    CUT: ("can't be proven", "can't be proven"),
    DIFFERS: ("DIFFERS", "DIFFER"),
}


def _make_row(part: RebuildResult) -> tuple[str, ...]:
    saved = "written" if part.is_written else ""
    return (part.name, f"{part.records_n:,}", f"{part.took_s:.1f}", part.verdict, saved)
