"""A model server for demos: writes a stream that drifts to the inference log of a worker.

    python examples/kafka/producer.py --settings headrace.toml --rate 30

The topic is made if it is missing; `--events 0` does that and nothing else. Ctrl-C or SIGTERM ends
it. Broker, topic and seed are those of the worker's settings; what the events are is in
pictures.py. Needs `headrace[kafka]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from pathlib import Path

from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError
from pictures import Pictures, event_id

from headrace import BadInput, BadSettings
from headrace.drivers.kafka.client import check_brokers, make_admin, make_producer
from headrace.settings import Settings, load_for_kafka

TOPIC_ALREADY_EXISTS = 36
PIECE_S = 0.05
STOP_S_MAX = 10.0


async def make_topic(settings: Settings, partitions: int) -> None:
    """The inference log, if it is missing: a worker never makes it."""
    client = make_admin(settings.kafka)
    await client.start()
    try:
        topic = NewTopic(settings.kafka.events, partitions, settings.kafka.replication)
        for _, code, *why in (await client.create_topics([topic])).topic_errors:
            if code not in (0, TOPIC_ALREADY_EXISTS):
                raise BadSettings(f"can't make the topic {settings.kafka.events}: {why}")
    finally:
        await client.close()


async def produce(
    settings: Settings, pictures: Pictures, rate: float, events_n: int | None, stop: asyncio.Event
) -> int:
    """Write until stopped, or so many events; how many were written.

    No event is written twice, and none ahead of its time: after an outage it goes on at its rate.
    """
    topic, run, n = settings.kafka.events, f"run{int(time.time())}", 0
    writer = make_producer(settings.kafka)
    await writer.start()
    try:
        partitions = sorted(await writer.partitions_for(topic))
        owed, last, was_shifted = 1.0, time.monotonic(), False
        while not stop.is_set() and (events_n is None or n < events_n):
            while owed >= 1.0 and (events_n is None or n < events_n):
                event = {
                    "id": event_id(run, n),
                    "at": time.time(),
                    "features": pictures.features(n),
                }
                place = partitions[n % len(partitions)]
                await writer.send(topic, json.dumps(event).encode(), partition=place)
                if pictures.is_shifted(n) != was_shifted:
                    was_shifted = not was_shifted
                    say(f"event {n}: the columns are {'shifted' if was_shifted else 'right again'}")
                owed, n = owed - 1.0, n + 1
            await asyncio.sleep(PIECE_S)
            now = time.monotonic()
            owed, last = min(owed + rate * (now - last), max(1.0, rate)), now
    finally:
        # What waits for a broker that is away is given up after a while.
        await asyncio.wait({asyncio.ensure_future(writer.stop())}, timeout=STOP_S_MAX)
    return n


def say(sentence: str) -> None:
    """A line on standard output, at once."""
    print(sentence, flush=True)


async def run(options: argparse.Namespace) -> None:
    settings = load_for_kafka(options.settings)
    await check_brokers(settings.kafka)
    await make_topic(settings, options.partitions)
    if options.events == 0:
        say(f"topic {settings.kafka.events} is there")
        return
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    pictures = Pictures(settings.seed, options.drift_every)
    say(f"writing {options.rate:g} events a second to {settings.kafka.events}")
    written_n = await produce(settings, pictures, options.rate, options.events, stop)
    say(f"{written_n} events written")


def main() -> int:
    """The command line; 0: done, 2: the settings are wrong or no broker answers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--settings", type=Path, required=True, help="those of the worker, TOML")
    parser.add_argument(
        "--rate", type=float, default=30.0, help="events a second (default %(default)g)"
    )
    parser.add_argument(
        "--events", type=int, metavar="N", help="end after so many; 0: only make the topic"
    )
    parser.add_argument(
        "--drift-every",
        type=int,
        default=9_000,
        metavar="N",
        help="events between releases that shift or mend the columns (default %(default)s)",
    )
    parser.add_argument(
        "--partitions", type=int, default=3, help="of the topic, if it is made (default 3)"
    )
    options = parser.parse_args()
    if not options.rate > 0 or options.drift_every < 1 or options.partitions < 1:
        parser.error("--rate must be above 0, --drift-every and --partitions at least 1")
    try:
        asyncio.run(run(options))
    except (BadSettings, BadInput, KafkaError, OSError) as error:
        print(f"producer: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
