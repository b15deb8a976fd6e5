"""The webhook of Label Studio: a hint that makes the bridge look at once, and nothing more."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridges.studio import Studio, deliveries
from headrace.bridges import faults_of_bridges
from headrace.bridges.label_studio.webhook import HEADER, Webhook
from headrace.errors import BadSettings

LONG_S = 3_600.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def hooked(studio: Studio, tmp_path: Path) -> Iterator[Studio]:
    """A bridge that polls once an hour, and is called."""
    url = f"http://127.0.0.1:{free_port()}/hook"
    found = Studio(studio.fake, tmp_path / "hooked", poll_s=LONG_S, webhook_url=url)
    yield found
    found.bridge.close()


def called(port: int, secret: str, method: str = "POST", body: bytes = b"{}") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, "/", body, {HEADER: secret})
        return connection.getresponse().status
    finally:
        connection.close()


def test_an_annotation_is_read_at_once_and_not_after_the_hour_of_the_poll(hooked: Studio) -> None:
    hooked.bridge.send(deliveries("q1", "q2"))
    assert hooked.said() == []  # The first look; the next one would be in an hour.
    assert hooked.said() == []
    hooked.fake.annotate(hooked.fake.task_of("q1"), "ham")
    assert hooked.said() == [("q1", "ham", "label-studio:1")]
    looks_n = len(hooked.fake.paths("/api/tasks"))
    assert hooked.said() == []
    assert len(hooked.fake.paths("/api/tasks")) == looks_n  # One call, one look.


def test_a_call_that_is_lost_loses_no_answer(studio: Studio, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    found = Studio(studio.fake, tmp_path / "lost", webhook_url=url)
    found.bridge.send(deliveries("q1"))
    for hook in studio.fake.webhooks.values():
        hook["actions"] = []
    found.fake.annotate(found.fake.task_of("q1"), "ham")
    assert found.said() == [("q1", "ham", "label-studio:1")]
    found.bridge.close()


def test_a_bridge_that_is_started_again_is_called_with_its_new_secret_by_the_same_webhook(
    hooked: Studio,
) -> None:
    hooked.bridge.send(deliveries("q1"))
    [before] = hooked.fake.webhooks.values()
    hooked.bridge.close()
    hooked.restarted()
    hooked.bridge.send(deliveries("q2"))
    [after] = hooked.fake.webhooks.values()
    assert after["id"] == before["id"]
    assert after["headers"] != before["headers"]
    assert after["actions"] == ["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"]
    assert after["send_payload"] is False


def test_who_does_not_know_the_secret_gets_nothing_done() -> None:
    port = free_port()
    webhook = Webhook(f"127.0.0.1:{port}")
    try:
        assert called(port, "guessed") == http.client.UNAUTHORIZED
        assert called(port, "") == http.client.UNAUTHORIZED
        assert called(port, "x" * 40_000) == http.client.UNAUTHORIZED
        assert called(port, webhook._secret, method="GET") == http.client.NOT_IMPLEMENTED
        assert not webhook.was_called()
        assert called(port, webhook._secret, body=b"x" * 1_000) == http.client.ACCEPTED
        assert webhook.was_called()
        assert not webhook.was_called()
    finally:
        webhook.close()


def test_an_address_that_label_studio_refuses_ends_the_bridge_with_what_to_do(
    hooked: Studio,
) -> None:
    hooked.fake.calls_private_addresses = False
    with pytest.raises(BadSettings, match="USE_DEFAULT_BANNED_SUBNETS=false") as refused:
        hooked.bridge.send(deliveries("q1"))
    assert "reserved network address" in str(refused.value)


def test_a_port_that_is_taken_is_a_fault_of_the_setting(hooked: Studio, tmp_path: Path) -> None:
    taken = hooked.settings["webhook_url"]
    with pytest.raises(BadSettings, match="webhook_listen is 127"):
        Studio(hooked.fake, tmp_path / "taken", webhook_url=taken)


@pytest.mark.parametrize(
    ("webhook", "fault"),
    [
        ({"webhook_url": "labels.example.org"}, "webhook_url is 'labels.example.org'"),
        ({"webhook_url": "http://a:b@example.org"}, "webhook_url is"),
        ({"webhook_url": "http://example.org:port"}, "webhook_url is"),
        ({"webhook_listen": "127.0.0.1:8791"}, "webhook_url is not"),
        ({"webhook_url": "http://127.0.0.1:1", "webhook_listen": "a:b"}, "must be a host and"),
    ],
)
def test_faults_of_its_settings(webhook: dict[str, str], fault: str) -> None:
    [said] = faults_of_bridges({"label-studio": {"classes": ["a", "b"], **webhook}})
    assert fault in said


def test_without_the_setting_nobody_is_asked_to_call(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1"))
    assert studio.fake.webhooks == {}
