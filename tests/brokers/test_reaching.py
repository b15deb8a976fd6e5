"""How Redis and RabbitMQ are reached: addresses, passwords that nobody sees, TLS, refusals."""

import json
import logging
from contextlib import closing

import pytest

from brokers.servers import RedisServer
from commands.runs import event
from headrace import cli
from headrace.adapters.brokers.address import parse_address
from headrace.adapters.brokers.sources import open_source
from headrace.bridges.rabbitmq import RabbitMQ, RabbitSettings
from headrace.bridges.redis import Redis, RedisSettings
from headrace.errors import BadSettings
from headrace.settings import parse
from headrace.settings.queue import QueueSettings

SECRET = "correct-horse-7719"


@pytest.fixture(autouse=True)
def no_password(monkeypatch):
    for kind in ("REDIS", "RABBITMQ"):
        monkeypatch.delenv(f"HEADRACE_{kind}_PASSWORD", raising=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("redis://127.0.0.1", "names no stream"),
        ("amqp://127.0.0.1/", "names no queue"),
        ("redis:///log", "must be such as redis://HOST:PORT/STREAM"),
        ("redis://127.0.0.1:ten/log", "is no address"),
        ("redis://127.0.0.1/log?db=one", "?db= without a number"),
        ("redis://127.0.0.1/log?vhost=a", "there is ?db= alone"),
        ("amqp://127.0.0.1/log?ssl=no", "there is ?vhost= alone"),
        ("redis://127.0.0.1/log?db", "is no address"),
        ("redis://events.example/log", "is not on loopback, and without TLS"),
        ("amqp://eva@10.0.0.7/log", "write amqps://, or set queue.allow_plaintext"),
        ("amqps://eva@127.0.0.1/log", "there is no password; set queue.password_file"),
        (f"redis://:{SECRET}@127.0.0.1/log", "holds a password, which others could see"),
        (f"amqps://eva:{SECRET}@rabbit/log", "environment variable HEADRACE_RABBITMQ_PASSWORD"),
        (f"redis://:{SECRET}@127.0.0.1:x/log", "is no address"),
    ],
)
def test_an_address_of_no_use_is_refused_in_a_sentence_without_its_password(text, told):
    with pytest.raises(BadSettings) as refused:
        _, source = open_source(text, QueueSettings(), follow=False)
        source.read("", 0.01)
    assert told in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "amqps"])
@pytest.mark.parametrize(
    "rest",
    [
        "eva:s3cret@host/log",
        "eva:s3cret@",
        "eva:s3cret",
        "eva:s3cret@host:ten/log",
        "eva:s3cret@host/log#b",
        "eva:s3[cret@host/log",
        "eva:s3cret#b@host/log",
        "eva:s3cret/b@host/log",
        "eva:s3cret?b@host/log",
        "eva:#s3cret@host/log",
        "eva:?s3cret@host/log",
        "eva:12#s3cret@host/log",
        "eva:12?s3cret=1@host/log",
        "eva:12/s3cret@host/log",
        "eva/s3cret@host/log",
        "eva:12/pass?db=1&vhost=s3cret@host/log",
        "eva:12?s3cret@host/log",
        "eva:12?db=s3cret&vhost=s3cret@host/log",
        "eva:?s3cret=1&vhost=2@host/log",
        "eva#s3cret@host/log",
        "s3cret@host/log#b",
        "/s3cret@host/log",
        "/eva:s3cret@host",
        "[s3cret@host/log",
        "host/log?s3cret",
        "host/log?password=s3cret",
        "host/log?s3cret=1",
        "host/log?db=1&vhost=2&x=s3cret@host",
    ],
)
def test_no_piece_of_a_malformed_address_is_told(scheme, rest):
    for text in (f"{scheme}://{rest}", f"{scheme}://{rest}".replace("s3cret", "%73s3cret")):
        with pytest.raises(BadSettings) as refused:
            parse_address(text, "--events")
        assert "s3cret" not in str(refused.value)
        assert refused.value.__cause__ is None


def test_a_slash_in_a_password_is_no_name_of_a_stream():
    for text in ("redis://u:12/s3cret@h/log", "amqp://u:12/a?vhost=s3cret@h/log"):
        with pytest.raises(BadSettings, match="%2F") as refused:
            parse_address(text, "--events")
        assert "s3cret" not in str(refused.value)
    address = parse_address("amqp://u@h/log%40b?vhost=team%40b", "--events")
    assert (address.host, address.name, address.space) == ("h", "log@b", "team@b")


def test_parts_of_an_address_are_unquoted():
    address = parse_address("amqps://a%40b@[::1]:7/in%2Fference?vhost=%2Fteam", "--events")
    assert (address.user, address.host, address.port) == ("a@b", "::1", 7)
    assert (address.name, address.space) == ("in/ference", "/team")
    assert str(address) == "rabbitmq at [::1]:7"


@pytest.mark.parametrize("kind", [RedisSettings, RabbitSettings])
def test_bridges_hold_their_settings_to_the_same(kind):
    is_redis = kind is RedisSettings
    make = Redis if is_redis else RabbitMQ
    scheme = "redis" if is_redis else "amqp"
    faulty = {
        "url": [f"{scheme}://127.0.0.1/log", f"{scheme}://x.example", "amqp://a:b@c", "http://a"],
        "tasks": ["headrace.answers"],
        "ca_file": ["ca.pem"],
        "cert_file": ["cert.pem"],
    }
    for name, values in faulty.items():
        for value in values:
            with pytest.raises(BadSettings), closing(make(kind(**{name: value}), None)) as bridge:
                bridge.receive("")


def test_a_password_in_the_settings_of_a_bridge_is_refused_before_it_is_written_down():
    with pytest.raises(BadSettings, match=r"bridges\.team\.url holds a password") as refused:
        parse({"bridges": {"team": {"kind": "redis", "url": f"redis://:{SECRET}@127.0.0.1"}}})
    assert SECRET not in str(refused.value)
    parse({"bridges": {"team": {"kind": "redis", "url": "redis://eva@127.0.0.1:6379"}}})


def test_a_password_is_read_from_its_file_or_the_environment(
    tmp_path, monkeypatch, redis_installed
):
    with RedisServer(tmp_path / "own", password=SECRET, tls=True) as server:
        with server.client() as client:
            client.xadd("log", {"event": json.dumps(event(1))})
        file = tmp_path / "password"
        file.write_text(f"{SECRET}\n")
        url = f"{server.url}/log"

        def read(**settings):
            settings = QueueSettings(ca_file=str(server.ca), **settings)
            _, source = open_source(url, settings, follow=False)
            with closing(source):
                return len(source.read("", 0.01).bodies)

        assert read(password_file=str(file)) == 1
        with pytest.raises(BadSettings, match="refuses us"):
            read()
        monkeypatch.setenv("HEADRACE_REDIS_PASSWORD", SECRET)
        assert read() == 1
        # The server's certificate is checked, and so is its name.
        _, source = open_source(url, QueueSettings(), follow=False)
        with pytest.raises(BadSettings, match="CERTIFICATE_VERIFY_FAILED"):
            source.read("", 0.01)
        file.write_text("")
        with pytest.raises(BadSettings, match="empty; must hold the password"):
            read(password_file=str(file))
        with pytest.raises(BadSettings, match="can't be read"):
            read(password_file=str(tmp_path / "none"))


def test_rabbitmq_over_tls_with_a_password(rabbit_server, name, tmp_path, monkeypatch, caplog):
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("guest")
    wrong.write_text(SECRET)

    def bridge(**settings):
        return RabbitMQ(
            RabbitSettings(
                url=rabbit_server.tls_url, tasks=f"{name}.t", answers=f"{name}.a", **settings
            ),
            None,
        )

    ca = str(rabbit_server.ca)
    with closing(bridge(ca_file=ca, password_file=str(right))) as good:
        assert good.receive("").replies == ()
    refused = pytest.raises(BadSettings, match="refuses us as guest")
    with closing(bridge(ca_file=ca, password_file=str(wrong))) as bad, refused:
        caplog.set_level(logging.DEBUG)
        bad.receive("")
    assert SECRET not in caplog.text
    refused = pytest.raises(BadSettings, match="CERTIFICATE_VERIFY_FAILED")
    with closing(bridge(password_file=str(right))) as bad, refused:
        bad.receive("")


def test_a_run_shows_its_password_nowhere(tmp_path, redis_installed, monkeypatch, capsys, caplog):
    with RedisServer(tmp_path / "own", password=SECRET) as server:
        with server.client() as client:
            client.xadd("log", {"event": json.dumps(event(1))})
        monkeypatch.setenv("HEADRACE_REDIS_PASSWORD", SECRET)
        argv = ["run", "--events", f"{server.url}/log", "--state", str(tmp_path / "state")]
        with caplog.at_level(logging.DEBUG):
            assert cli.main([*argv, "--requests", str(tmp_path / "requests.jsonl")]) == 0
    printed = capsys.readouterr()
    written = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert "events: 1" in printed.out
    for text in (printed.out, printed.err, caplog.text, *map(str, written)):
        assert SECRET not in text
