"""KServe's inference log, as CloudEvents on Kafka, for `input.decoder`: requests with id and time.

A CloudEvent comes in one of two modes. In binary mode, which Knative's Kafka broker writes, the
record is the payload and its attributes are headers: `ce_id`, `ce_time`, `ce_type`. In structured
mode the record is a JSON object that holds all. Both are read here.

Each prediction leads to two CloudEvents of one id, a request and a response, in no certain order
and perhaps on two partitions. The request has the features; the response is passed over.
"""

from __future__ import annotations

import base64
import json
from typing import Any

REQUEST = ".inference.request"


def read(record: bytes, headers: dict[str, bytes]) -> Any:
    """The request in a record, or nothing: `[]` says that it holds no event."""
    if "ce_id" in headers:
        attributes = {name[3:]: v.decode() for name, v in headers.items() if name[:3] == "ce_"}
        payload = record
    else:
        attributes = json.loads(record)
        payload = _payload(attributes)
    if not attributes["type"].endswith(REQUEST):
        return []
    return {
        "id": attributes["id"],
        "at": attributes["time"],
        "service": attributes.get("inferenceservicename"),
        "request": payload if isinstance(payload, dict) else json.loads(payload),
    }


def _payload(envelope: dict[str, Any]) -> Any:
    """What a client sent without saying that it is JSON comes as a text, or encoded."""
    if "data_base64" in envelope:
        return base64.b64decode(envelope["data_base64"])
    return envelope["data"]
