"""Brokers for tests: one that a whole run shares, and one of a test's own to stop and kill."""

import gc
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from kafka import server, shared
from kafka.broker import Address, Broker, BrokerMissing, skip_unless_kafka


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Address]:
    """The broker that all workers of this run share; leave it up, and use topics with `prefix`."""
    folder = tmp_path_factory.getbasetemp()
    try:
        share = shared.join(folder if worker_id == "master" else folder.parent)
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    yield share.address
    share.leave()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A running Apache Kafka of this test's own: stop it, kill it, start it again."""
    yield from _started(tmp_path / "broker", server.KILLED)


@pytest.fixture
def pausing_broker(tmp_path: Path) -> Iterator[Broker]:
    """A running Apache Kafka of this test's own that may pause for up to a minute."""
    yield from _started(tmp_path / "broker", {})


def _started(folder: Path, settings: Mapping[str, str]) -> Iterator[Broker]:
    try:
        broker = Broker(folder=folder, settings=settings)
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    with closing(broker):
        skip_unless_kafka(broker, "records that survive a stop")
        yield broker.start()


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect what aiokafka leaves where a login is refused: sockets that nobody closed.

    Mark the test with `filterwarnings("ignore:unclosed:ResourceWarning")` as well.
    """
    yield
    gc.collect()


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """What the names of this test's topics and groups begin with; no other test has it."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    return f"{name}-{secrets.token_hex(4)}"
