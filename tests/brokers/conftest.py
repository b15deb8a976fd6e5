"""A Redis and a RabbitMQ for the tests of a process; names of streams and queues of each test."""

import re
import secrets
import shutil

import pytest

from brokers.servers import RABBITMQ, RabbitServer, RedisServer


def skip_unless(is_there, package):
    if not is_there:
        pytest.skip(f"{package} is not installed: apt-get install {package}")


@pytest.fixture(scope="session")
def redis_installed():
    skip_unless(shutil.which("redis-server"), "redis-server")


@pytest.fixture(scope="session")
def rabbit_installed():
    skip_unless(RABBITMQ.exists() and shutil.which("epmd"), "rabbitmq-server")


@pytest.fixture(scope="session")
def redis_server(redis_installed, tmp_path_factory):
    """A Redis for all tests of this process: leave it up."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server(rabbit_installed, tmp_path_factory):
    """A RabbitMQ for all tests of this process: a test that stops it starts it again."""
    with RabbitServer(tmp_path_factory.mktemp("rabbit")) as server:
        yield server


@pytest.fixture
def client(redis_server):
    with redis_server.client() as opened:
        yield opened


@pytest.fixture
def channel(rabbit_server):
    connection = rabbit_server.connect()
    yield connection.channel()
    if connection.is_open:
        connection.close()


@pytest.fixture
def name(request):
    """What the names of this test's streams and queues begin with."""
    plain = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    return f"{plain}-{secrets.token_hex(4)}"
