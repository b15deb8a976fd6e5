"""A broker on loopback for a first look: it runs until Ctrl-C, and what it held is gone then.

    make kafka

Writes the settings of a worker for it to `out/kafka/headrace.toml`, those of the demo, and prints
the commands that lead from there to the first request for a label, each for a terminal of its own.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from headrace.settings import load_for_kafka

from .broker import Broker
from .jars import BrokerMissing

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "docker" / "headrace.toml"
NEXT = (
    "{bin}/python examples/kafka/producer.py --settings {settings}",
    "{bin}/headrace worker --settings {settings} --live",
    "{bin}/python examples/kafka/annotators.py --settings {settings}",
)
PLACES = {
    'servers = ["kafka:9092"]': 'servers = ["{servers}"]',
    "allow_plaintext = true": "allow_plaintext = false",
    'snapshots = "/state/snapshots"': 'snapshots = "snapshots"',
    'log_format = "json"': 'log_format = "text"',
    'host = "0.0.0.0"': 'host = "127.0.0.1"',
}
"""What is otherwise than in the demo's containers."""


def settings_for(servers: str) -> str:
    """The demo's settings for a worker on this machine."""
    lines = DEMO.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")) + "\n"
    for found, put in PLACES.items():
        if text.count(found) != 1:
            raise AssertionError(f"{DEMO} has {found!r} {text.count(found)} times")
        text = text.replace(found, put.format(servers=servers))
    return text


def main() -> int:
    """Run it; 0: stopped, 2: there is no broker to be had."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "kafka")
    folder = parser.parse_args().folder
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        broker = Broker()
    except BrokerMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    with broker:
        folder.mkdir(parents=True, exist_ok=True)
        settings = folder / "headrace.toml"
        settings.write_text(settings_for(broker.servers), encoding="utf-8")
        load_for_kafka(settings)
        print(f"a broker listens at {broker.servers} until Ctrl-C; in this order, a terminal each:")
        where = {"bin": Path(sys.executable).parent, "settings": settings}
        for command in NEXT:
            print(f"  {command.format(**where)}")
        print("then look at /metrics on port 9464, or docs/KAFKA.md", flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
