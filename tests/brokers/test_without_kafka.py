"""A small team without Kafka: events, tasks and answers all go through one Redis or RabbitMQ."""

import json
import threading
from contextlib import closing, suppress

import pika
import pytest

from brokers.servers import RedisServer
from brokers.test_events import Queue, Stream, bodies, wait_for
from commands.runs import TOML, answer_to, child, lines_of


def answer_in_redis(server, name, stop):
    """A program of an annotator, as docs/QUEUES.md has it."""
    with server.client() as client:
        while not stop.is_set():
            with suppress(Exception):
                found = client.xreadgroup("annotators", "eva", {f"{name}.tasks": ">"}, 1, 100)
                for entry_id, fields in found[0][1] if found else []:
                    answer = json.dumps(answer_to(json.loads(fields[b"task"])))
                    client.xadd(f"{name}.answers", {"answer": answer})
                    client.xack(f"{name}.tasks", "annotators", entry_id)


def answer_in_rabbitmq(server, name, stop):
    """As above."""
    seen = set()
    while not stop.is_set():
        with suppress(pika.exceptions.AMQPError), closing(server.connect()) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            while not stop.is_set():
                method, properties, body = channel.basic_get(f"{name}.tasks")
                if method is None:
                    connection.sleep(0.05)
                    continue
                if properties.message_id not in seen:
                    answer = json.dumps(answer_to(json.loads(body)))
                    channel.basic_publish("", f"{name}.answers", answer.encode())
                    seen.add(properties.message_id)
                channel.basic_ack(method.delivery_tag)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_events_tasks_and_answers_go_through_one_server(kind, request, name, tmp_path):
    server = request.getfixturevalue("redis_server" if kind == "redis" else "rabbit_server")
    source = (Stream if isinstance(server, RedisServer) else Queue)(server, name)
    section = f'[bridges.{kind}]\nurl = "{server.url}"\n'
    section += f'tasks = "{name}.tasks"\nanswers = "{name}.answers"\n'
    (tmp_path / "settings.toml").write_text(TOML + section)
    run = ["run", "--events", source.url, "--follow", "--state", str(tmp_path / "state")]
    run += ["--settings", str(tmp_path / "settings.toml")]
    run += ["--requests", str(tmp_path / "requests.jsonl")]
    run += ["--answers", str(tmp_path / "answers.jsonl")]
    stop = threading.Event()
    answer = answer_in_redis if kind == "redis" else answer_in_rabbitmq
    annotator = threading.Thread(target=answer, args=(server, name, stop))
    source.add(bodies(0, 60))
    started = [child(run, tmp_path / "run.txt")]
    try:
        wait_for((tmp_path / "requests.jsonl").exists)
        bridge = ["bridge", kind, "--state", str(tmp_path / "state")]
        started.append(child(bridge, tmp_path / "bridge.txt"))
        annotator.start()
        wait_for(lambda: learned(tmp_path) >= 5, 120.0)
        # What was learned from is what was asked: more events, more labels.
        before_n = learned(tmp_path)
        source.add(bodies(60, 160))
        wait_for(lambda: learned(tmp_path) > before_n + 5, 120.0)
    finally:
        stop.set()
        for one in started:
            one.terminate()
            one.join(30)
        annotator.join(30)
    assert [one.exitcode for one in started] == [0, 0]
    asked = [line["request_id"] for line in lines_of(tmp_path / "requests.jsonl")]
    answered = [line["request_id"] for line in lines_of(tmp_path / "answers.jsonl")]
    assert len(set(answered)) == len(answered)
    assert set(answered) <= set(asked)


def learned(folder):
    found = lines_of(folder / "state" / "decisions.jsonl")
    return sum(output["type"] == "LabelSettled" for output in found)
