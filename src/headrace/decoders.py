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
