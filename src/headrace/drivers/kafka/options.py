"""What `[kafka]` passes on to aiokafka: options of its clients, and the user's own tokens."""

from __future__ import annotations

import asyncio
import inspect
from importlib import import_module
from typing import Any

from ...errors import BadSettings
from ...importing import SAID_MAX, import_function, suggest_nearest
from ...settings.kafka import DEPENDED_ON, SET_HERE, KafkaSettings

OF_GROUPS = ("group_instance_id",)
"""Options for the group's consumer alone: others have no group, or would pose as that member."""


def passed_on(kafka: KafkaSettings, client: type, *, is_member: bool = False) -> dict[str, Any]:
    """Return those of `kafka.options` that this class of aiokafka takes.

    `is_member`: it is the consumer of the group. Raises `BadSettings` for a name that no client
    knows, with the nearest one that may be set.
    """
    _check_names(kafka)
    own = inspect.signature(client).parameters
    return {
        name: value
        for name, value in kafka.options.items()
        if name in own and (is_member or name not in OF_GROUPS)
    }


def _check_names(kafka: KafkaSettings) -> None:
    """Raise `BadSettings` for options that none of the clients has."""
    aiokafka, admin = import_module("aiokafka"), import_module("aiokafka.admin")
    clients = (aiokafka.AIOKafkaConsumer, aiokafka.AIOKafkaProducer, admin.AIOKafkaAdminClient)
    known = {name for client in clients for name in inspect.signature(client).parameters}
    known -= {*SET_HERE, *DEPENDED_ON, "topics"}
    faults = []
    for name in sorted(kafka.options.keys() - known):
        hint = suggest_nearest(name, known) or f"; known are {', '.join(sorted(known))}"
        faults.append(f"kafka.options.{name} is no option of aiokafka's clients{hint}")
    if faults:
        raise BadSettings(faults)


def token_provider(kafka: KafkaSettings) -> Any:
    """Return what aiokafka and Faust ask for a token at every connection. Raises `BadSettings`."""
    function = import_function("kafka.token", kafka.token)

    class Provider(import_module("aiokafka.abc").AbstractTokenProvider):  # type: ignore[misc]
        async def token(self) -> str:
            try:
                token = await asyncio.to_thread(function)
            except Exception as error:
                # The user's function may fail in any way; the error must not show the token.
                text = f"{type(error).__name__}: {error}"[:SAID_MAX]
                raise BadSettings(f"kafka.token is {kafka.token!r}, which failed: {text}") from None
            if not isinstance(token, str) or not token:
                raise BadSettings(
                    f"kafka.token is {kafka.token!r}, which gave {type(token).__name__}; must give "
                    "a token as text"
                )
            return token

    return Provider()
