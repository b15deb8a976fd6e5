"""The ids that brokers give topics, by a request of our own: aiokafka's are of older versions.

Metadata of version 10 (KIP-516, Kafka 2.8; ids since 3.1), in the protocol's flexible encoding.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from typing import Any, cast

from .client import import_extra

VERSION = 10
NOBODY = bytes(16)


async def topic_ids(consumer: Any, topics: Iterable[str]) -> dict[str, str]:
    """Return the ids of these topics by name, as Kafka's own tools print them.

    `consumer` is aiokafka's, started. Empty where the brokers have no ids. Creates no topic.
    """
    errors = import_extra("aiokafka.errors")
    names = sorted(set(topics))
    # The consumer has no other way to send a request.
    client = consumer._client
    node = client.get_random_node()
    if node is None:
        return {}
    try:
        response = await client.send(node, _request_class()(names))
    except (errors.IncompatibleBrokerVersion, NotImplementedError):
        return {}
    return {
        name: base64.urlsafe_b64encode(topic_id).decode().rstrip("=")
        for error, name, topic_id, *_ in response.topics
        if not error and topic_id != NOBODY
    }


@cache
def _request_class() -> Any:
    """Return the class of the request, made here since aiokafka may not be installed."""
    api, types = import_extra("aiokafka.protocol.api"), import_extra("aiokafka.protocol.types")
    # Their bases are known at run time only.
    request, builder = cast("Any", (api.RequestStruct, api.Request))
    named = types.CompactArray(
        ("topic_id", _Uuid), ("name", types.CompactString("utf-8")), ("tags", types.TaggedFields)
    )

    class MetadataRequest10(request):  # type: ignore[misc, valid-type]
        API_KEY, API_VERSION, FLEXIBLE_VERSION = 3, VERSION, True
        RESPONSE_TYPE = _response_class()
        SCHEMA = types.Schema(
            ("topics", named),
            ("allow_auto_topic_creation", types.Boolean),
            ("include_cluster_operations", types.Boolean),
            ("include_topic_operations", types.Boolean),
            ("tags", types.TaggedFields),
        )

    class TopicIdsRequest(builder[MetadataRequest10]):  # type: ignore[misc, valid-type]
        API_KEY = 3

        def __init__(self, names: list[str]) -> None:
            self._names = names

        def build(self, request_struct_class: Any) -> Any:
            no_tags: dict[int, bytes] = {}
            asked = [(NOBODY, name, no_tags) for name in self._names]
            return request_struct_class(asked, False, False, False, no_tags)

    return TopicIdsRequest


def _response_class() -> Any:
    api, types = import_extra("aiokafka.protocol.api"), import_extra("aiokafka.protocol.types")
    base = cast("Any", api.Response)
    text, number, tags = types.CompactString("utf-8"), types.Int32, types.TaggedFields
    numbers = types.CompactArray(number)
    broker = [("node_id", number), ("host", text), ("port", number), ("rack", text), ("tags", tags)]
    partition = [
        ("error_code", types.Int16),
        ("partition", number),
        ("leader", number),
        ("leader_epoch", number),
        ("replicas", numbers),
        ("isr", numbers),
        ("offline_replicas", numbers),
        ("tags", tags),
    ]
    topic = [
        ("error_code", types.Int16),
        ("topic", text),
        ("topic_id", _Uuid),
        ("is_internal", types.Boolean),
        ("partitions", types.CompactArray(*partition)),
        ("topic_operations", number),
        ("tags", tags),
    ]

    class MetadataResponse10(base):  # type: ignore[misc, valid-type]
        API_KEY, API_VERSION = 3, VERSION
        SCHEMA = types.Schema(
            ("throttle_time_ms", number),
            ("brokers", types.CompactArray(*broker)),
            ("cluster_id", text),
            ("controller_id", number),
            ("topics", types.CompactArray(*topic)),
            ("cluster_operations", number),
            ("tags", tags),
        )

    return MetadataResponse10


class _Uuid:
    """Sixteen bytes, with the methods of aiokafka's types."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)

    @classmethod
    def repr(cls, value: bytes) -> str:
        return value.hex()
