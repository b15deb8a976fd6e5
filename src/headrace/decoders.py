"""Functions for `input.decoder` that decode records and come with Headrace.

You may use your own function instead; docs/LOGS.md says what it must do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def cloudevent(record: bytes, headers: Mapping[str, bytes]) -> Any:
    """Decode a CloudEvent in a Kafka record as one object: its attributes by name, and its `data`.

    In binary mode the record is the data and the headers `ce_...` are the attributes; in structured
    mode the record is the object already. Data that is not JSON stays a text. Raises `ValueError`
    for a record that is neither. Source: the Kafka binding of CloudEvents 1.0.2, sections 3.2, 3.3.

    >>> cloudevent(b'{"instances": [[1, 2]]}', {"ce_id": b"7", "ce_type": b"a.request"})
    {'id': '7', 'type': 'a.request', 'data': {'instances': [[1, 2]]}}
    """
    attributes = {
        name[3:].lower(): value.decode()
        for name, value in headers.items()
        if name[:3].lower() in ("ce_", "ce-")
    }
    if not attributes:
        return json.loads(record)
    text = record.decode()
    try:
        return {**attributes, "data": json.loads(text)}
    except ValueError:
        return {**attributes, "data": text}


def confluent_json(record: bytes) -> Any:
    """Decode a record of the JSON Schema serializer of Confluent's Schema Registry.

    A zero byte and the number of the schema, four bytes, stand before the JSON; they are dropped.
    The schema is not looked up. Returns what the JSON holds. Raises `ValueError` for a record
    without that beginning, or whose rest is no JSON. Source: "Wire format" in Confluent's
    documentation of the Schema Registry.

    >>> confluent_json(b'\\x00\\x00\\x00\\x00\\x07{"id": "e1"}')
    {'id': 'e1'}
    """
    if len(record) < 5 or record[0] != 0:
        raise ValueError("it does not begin with a zero byte and the number of a schema")
    return json.loads(record[5:])
