"""`headrace reset`: let shards forget everything and go on from another place.

It is meant for when the old window, budget or estimate stands in the way: after a mistake in the
settings of the input, after a gap, to decide again. What cost a person's time stays: the training
log and with it the model, open requests, answers.

The command writes a step of reset to the journal of every partition, and replaces the snapshots, so
that a worker need not read again what is forgotten.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...drivers.audit.acts import open_worker_acts
from ...drivers.kafka import client
from ...drivers.kafka.cluster import connect_cluster
from ...drivers.kafka.reading import QUICK, Reader, partition_of, retraining_in, start_client
from ...drivers.kafka.states import States
from ...drivers.kafka.topics import ensure_topics
from ...errors import BadInput, BadSettings
from ...flow import wire
from ...flow.effects import Part
from ...flow.journal_head import JournalHead, read_journal_head
from ...flow.log_reader import LogReader
from ...flow.recovery import fold_until
from ...flow.saving import freeze_log
from ...flow.shards import PartitionShard
from ...flow.steps import Step
from ...learn.training_log import TrainingLog
from ...settings import Settings
from .rebuild import check_idle
from .shared import add_settings, confirm_change, load_settings

EARLIEST, LATEST = "earliest", "latest"


@dataclass(frozen=True, slots=True)
class Move:
    """One partition, from `first` to `end`, goes on at `to`; `before` was committed, None: none."""

    partition: int
    before: int | None
    to: int
    first: int
    end: int

    @property
    def skipped_n(self) -> int:
        """How many events are skipped; negative: how many are fed again."""
        return self.to - max(self.before or 0, self.first)


async def planned_moves(settings: Settings, to: str) -> list[Move]:
    """Plan where each partition of the events goes on; `to`: `earliest`, `latest` or a time.

    Missing topics are created, as a worker creates them. Raises `NoBroker`; `BadInput` while
    workers are in the group, or without an inference log; `BadSettings`, also for a bad time.
    """
    kafka, since_ms = settings.kafka, _since_ms(to)
    events_n = (await ensure_topics(settings))[0].found
    assert events_n is not None
    tps = [partition_of(kafka.events, number) for number in range(events_n.partitions_n)]
    async with connect_cluster(kafka) as cluster, AsyncExitStack() as stack:
        await check_idle(cluster, kafka.group)
        committed = await cluster.read_committed(kafka.group)
        reader = await start_client(stack, client.make_consumer(kafka))
        ends = await reader.end_offsets(tps)
        firsts = await reader.beginning_offsets(tps)
        starts = ends if to == LATEST else firsts
        if since_ms is not None:
            offsets = await reader.offsets_for_times(dict.fromkeys(tps, since_ms))
            starts = {tp: offsets[tp].offset if offsets[tp] is not None else ends[tp] for tp in tps}
    return [Move(tp.partition, committed.get(tp), starts[tp], firsts[tp], ends[tp]) for tp in tps]


async def reset_shards(settings: Settings, moves: list[Move], note: Callable[[str], None]) -> None:
    """Carry out these moves. `note` is called with why a snapshot was passed over.

    Raises as `planned_moves`, and `BadInput` if a worker wrote meanwhile.
    """
    kafka, writer = settings.kafka, secrets.token_hex(8)
    states = States(settings, note)
    async with connect_cluster(kafka) as cluster, AsyncExitStack() as stack:
        await check_idle(cluster, kafka.group)
        reader = await start_client(stack, client.make_consumer(kafka, **QUICK))
        producer = await start_client(stack, client.make_producer(kafka))
        threads = stack.enter_context(ThreadPoolExecutor(1))
        reading = Reader(reader, retraining_in(threads))
        log, training = await _newest_log(settings, states, reading)
        for move in moves:
            snapshot = states.read_shard(move.partition, len(moves))
            saved, _, places = snapshot
            since = read_journal_head(
                settings,
                move.partition,
                last=saved.journal,
                writer=str(places["writer"]),
                spent=saved.spent,
                claim_n=saved.claim_n,
            )
            head = await reading.run_routine(since)
            shard = PartitionShard(settings, move.partition, len(moves), log.trainer)
            shard.seek(move.to)
            shard.keep_spent(head.claim_n, head.spent, log.caps)
            step = reset_step(head, shard, training, writer)
            await _write_step(settings, producer, head, step)
            states.clear_series(f"shard-{move.partition}")
            _save_shard(states, shard, step, head.end, log)
        states.write_training(freeze_log(log), training)
        await _commit_offsets(settings, stack, moves)


async def _newest_log(
    settings: Settings, states: States, reader: Reader
) -> tuple[TrainingLog, int]:
    """Read the training log; return its state and the offset at its end.

    Raises `BadInput` if entries after the newest snapshot are gone.
    """
    log, position = states.read_training()
    tp = Part(settings.kafka.training, 0)
    logs = LogReader({tp: position})
    await reader.run_routine(logs.go_to_starts())
    if logs.lost[tp]:
        raise BadInput(
            f"{tp.topic} begins {logs.lost[tp]} entries after the newest snapshot: the model "
            "can't be made from it. Give kafka.training, desk and journal new names to begin anew"
        )
    end = logs.ends[tp]
    await reader.run_routine(fold_until(log, logs, tp, end))
    return log, end


def reset_step(head: JournalHead, shard: PartitionShard, training: int, writer: str) -> Step:
    """Make the step for a shard that begins anew, behind the head of its journal.

    `training` is the offset in the training log up to which the shard has seen it, `writer` a name
    for this process.
    """
    return Step(
        previous=head.last,
        training=training,
        start=shard.position,
        stop=shard.position,
        # A worker without a snapshot looks for what a killed one had not sent, and sends it.
        done=head.done,
        rules=shard.rules,
        writer=writer,
        is_first=True,
        is_reset=True,
        spent_n=head.spent.labels_n if head.claim_n else None,
        spent_money=head.spent.money if head.claim_n else None,
        claim_n=head.claim_n,
    )


async def _write_step(settings: Settings, producer: Any, head: JournalHead, step: Step) -> None:
    topic = settings.kafka.journal
    written = await producer.send_and_wait(topic, wire.value_of(step), partition=head.partition)
    if written.offset != head.end:
        raise BadInput(
            f"a worker wrote to {topic}, partition {head.partition}, meanwhile; stop all workers "
            "and reset again"
        )


def _save_shard(
    states: States, shard: PartitionShard, step: Step, offset: int, log: TrainingLog
) -> None:
    """Save the shard as it is after the step, so that no worker reads what is forgotten."""
    shard.journal = offset
    positions = shard.places_at(step.training, step.writer)
    states.write_shard(shard.partition, shard.freeze(), freeze_log(log), positions)


async def _commit_offsets(settings: Settings, stack: AsyncExitStack, moves: list[Move]) -> None:
    """Move the group's offsets, which are read only to watch the lag."""
    kafka = settings.kafka
    consumer = client.make_consumer(kafka, group=kafka.group)
    consumer.assign([partition_of(kafka.events, move.partition) for move in moves])
    await start_client(stack, consumer)
    await consumer.commit({partition_of(kafka.events, move.partition): move.to for move in moves})


def _since_ms(to: str) -> int | None:
    """The time of `--to` in ms since the epoch; None for a word. Raises `BadSettings`."""
    if to in (EARLIEST, LATEST):
        return None
    try:
        moment = datetime.fromisoformat(to)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadSettings(
            f"--to is {to!r}; must be {EARLIEST}, {LATEST} or a time with its zone, as in "
            "2024-05-01T12:00:00Z"
        )
    return max(0, int(moment.timestamp() * 1_000))


# ------------------------------------------------------------------------------- headrace reset


def register(subparsers: Any) -> None:
    """Add `headrace reset`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "reset",
        help="let the shards on Kafka begin anew",
        description="Every shard forgets its window, its budget and its estimate, and goes on "
        "from the place named. The training log, the model, open requests and the desks are kept. "
        "Only while no worker runs. See docs/KAFKA.md. Exit 0: done; 1: not confirmed; 2: settings "
        "are wrong, workers run, or no broker answers.",
    )
    add_settings(parser)
    parser.add_argument(
        "--to",
        default=LATEST,
        metavar="earliest|latest|TIME",
        help="go on from the first event that is there, behind the last one (default), or from "
        "the first that was written since a time, as in 2024-05-01T12:00:00Z",
    )
    parser.add_argument("--yes", action="store_true", help="don't ask")
    parser.set_defaults(func=command)


def command(arguments: argparse.Namespace) -> int:
    """Run `headrace reset`; return the exit code."""
    settings = load_settings(arguments)
    moves = asyncio.run(planned_moves(settings, arguments.to))
    sys.stdout.write("".join(f"{sentence}\n" for sentence in describe_moves(settings, moves)))
    if not (arguments.yes or confirm_change()):
        return 1
    notes: list[str] = []
    asyncio.run(reset_shards(settings, moves, notes.append))
    open_worker_acts(arguments.settings, settings).record(
        "reset", to=arguments.to, partitions=[[move.partition, move.to] for move in moves]
    )
    sys.stdout.write("".join(f"{sentence}\n" for sentence in notes))
    sys.stdout.write("Done. Start the workers.\n")
    return 0


def describe_moves(settings: Settings, moves: list[Move]) -> list[str]:
    """Describe in lines where each partition goes on, what is forgotten and what is kept."""
    kafka = settings.kafka
    lines = [
        f"{kafka.events}, partition {move.partition}: goes on at {move.to} of {move.end}, "
        + (f"was at {move.before}" if move.before is not None else "nothing was read yet")
        for move in moves
    ]
    again_n = sum(max(0, -move.skipped_n) for move in moves)
    skipped_n = sum(max(0, move.skipped_n) for move in moves)
    lines += [f"{skipped_n:,} events are skipped"] if skipped_n else []
    if again_n:
        lines.append(
            f"{again_n:,} events are fed again; if one is asked about again, its request has the "
            "same id, and the desk counts it once"
        )
    return [
        *lines,
        "forgotten: the shards' windows, reservoirs, budgets, drift levels and estimates, and "
        "their snapshots",
        f"kept: the training log ({kafka.training}) and its model, the desks ({kafka.desk}), open "
        "requests and answers to them",
    ]
