"""Redis Streams between Headrace and annotators: tasks in one stream, answers in another.

Annotators' programs read the tasks in a consumer group and acknowledge each when it is answered. A
task whose reader died is given to another one; a task that was given out too often is moved aside.
A script in Redis adds a task only if it is not there, so that a call may safely be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..adapters.brokers.address import BrokerAway, parse_address
from ..adapters.brokers.redis import connect_redis, id_of, translate_redis_errors
from ..errors import BadInput, BadSettings
from ..settings.fields import Few, Seconds, about
from ..settings.queue import ConnectionSettings
from .bridge import Delivery, Receipt, Reply, Unreachable
from .replies import decode_answer, make_reply

READ_N = 500
"""How many answers are read, and how many stuck tasks are claimed, at a time."""

ASIDE_N = 10_000
"""About how many entries are kept in each stream of dead and of withdrawn entries."""

SWEEP_S_MAX = 10.0

Name = Annotated[str, Meta(min_length=1, max_length=200)]

# Adds a task unless it was sent. KEYS: tasks, sent. ARGV: request id, task.
_SEND = """
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 0 end
local id = redis.call('XADD', KEYS[1], '*', 'request_id', ARGV[1], 'task', ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], id)
return 1
"""
# Removes a task. KEYS: tasks, sent, withdrawn. ARGV: request id, reason, group, how many to keep.
_WITHDRAW = """
local id = redis.call('HGET', KEYS[2], ARGV[1])
if not id then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('XACK', KEYS[1], ARGV[3], id)
if redis.call('XDEL', KEYS[1], id) == 0 then return 0 end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'request_id', ARGV[1], 'reason', ARGV[2])
return 1
"""
# Puts a task that we have claimed behind the others, or aside. KEYS: tasks, sent, dead.
# ARGV: group, our name, id, deliveries at most, how many to keep. Returns the request id if aside.
_MOVE = """
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])
if #held == 0 or #entry == 0 then return false end
local fields = {}
for i = 1, #entry[1][2], 2 do fields[entry[1][2][i]] = entry[1][2][i + 1] end
local n = tonumber(fields['deliveries'] or '0') + 1
local id, request = fields['request_id'] or '', false
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
if n >= tonumber(ARGV[4]) then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'request_id', id,
    'task', fields['task'] or '', 'deliveries', n)
  return id
end
local new = redis.call('XADD', KEYS[1], '*', 'request_id', id,
  'task', fields['task'] or '', 'deliveries', n)
if redis.call('HEXISTS', KEYS[2], id) == 1 then redis.call('HSET', KEYS[2], id, new) end
return false
"""

SWEEPER = "headrace"
"""The bridge's own name among the consumers of the group."""


class RedisSettings(ConnectionSettings, frozen=True, kw_only=True):
    """[bridges.redis]: tasks and answers as streams of Redis. See [QUEUES.md](QUEUES.md)."""

    url: Annotated[
        str, about("The server: `redis://USER@HOST:PORT?db=N`, or `rediss://...` over TLS.")
    ] = "redis://127.0.0.1:6379"
    tasks: Annotated[
        Name,
        about(
            "Stream of the tasks. Beside it are `TASKS.withdrawn` and `TASKS.dead`, and the hash "
            "`TASKS.sent`. All belong to one bridge."
        ),
    ] = "headrace.tasks"
    answers: Annotated[
        Name, about("Stream of the answers, of one bridge; `ANSWERS.dead` is beside it.")
    ] = "headrace.answers"
    group: Annotated[Name, about("Consumer group of the annotators' programs; it is made.")] = (
        "annotators"
    )
    idle_s: Annotated[
        Seconds,
        about("A task that a program holds for so long unanswered is given to others. Seconds."),
    ] = 600.0
    deliveries_max: Annotated[
        Few,
        about("A task given out so often and never answered is moved aside, to `TASKS.dead`."),
    ] = 3
    trim: Annotated[
        bool,
        about(
            "Remove tasks that all groups have acknowledged, and answers that are safe here and "
            "read by all groups."
        ),
    ] = True


class Redis:
    """A bridge to Redis; `folder` is not used. Raises `BadSettings` for a bad address or name."""

    Settings = RedisSettings

    def __init__(
        self,
        settings: RedisSettings,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        address = parse_address(settings.url, "bridges.redis.url")
        if address.kind != "redis" or address.name:
            raise BadSettings(
                "bridges.redis.url must be redis://HOST:PORT or rediss://HOST:PORT, without a "
                "stream: bridges.redis.tasks and answers name those"
            )
        if settings.tasks == settings.answers:
            raise BadSettings(
                f"bridges.redis.tasks and answers are both {settings.tasks!r}; each needs its own"
            )
        self._address = address
        self._client = connect_redis(address, settings, "bridges.redis")
        self._scripts = [self._client.register_script(one) for one in (_SEND, _WITHDRAW, _MOVE)]
        self._clock = clock
        self._sweep_at = 0.0
        self._is_looked_at = False

    def close(self) -> None:
        self._client.close()

    def send(self, deliveries: Sequence[Delivery]) -> None:
        tasks, name = self._settings.tasks, self._settings.group
        sent, gone = f"{tasks}.sent", f"{tasks}.withdrawn"
        add, withdraw, _ = self._scripts
        with self._translate_errors(), self._client.pipeline(transaction=False) as many:
            for delivery in deliveries:
                if delivery.request is None:
                    values = (delivery.request_id, delivery.reason, name, ASIDE_N)
                    withdraw([tasks, sent, gone], values, client=many)
                else:
                    task = msgspec.json.encode(delivery.request)
                    add([tasks, sent], [delivery.request_id, task], client=many)
            many.execute()

    def receive(self, mark: str) -> Receipt:
        with self._translate_errors():
            faults = self._sweep_tasks(mark)
            if mark and self._settings.trim:
                self._trim_stream(self._settings.answers, id_of(mark))
            streams: Any = self._client.xread({self._settings.answers: mark or "0-0"}, READ_N)
            entries = streams[0][1] if streams else []
            replies = []
            for entry_id, fields in entries:
                try:
                    replies.append(_parse_reply(entry_id.decode(), fields or {}))
                except ValueError as error:
                    faults.append(self._move_aside(entry_id.decode(), fields or {}, error))
        reached = entries[-1][0].decode() if entries else mark
        return Receipt(tuple(replies), reached, tuple(faults))

    def _move_aside(self, entry_id: str, fields: dict[bytes, bytes], error: ValueError) -> str:
        """Move an answer that can't be used to `ANSWERS.dead`, for people; return a sentence."""
        import redis  # noqa: PLC0415 - an extra

        dead = f"{self._settings.answers}.dead"
        entry: dict[Any, Any] = {**fields, b"fault": str(error)}
        try:
            self._client.xadd(dead, entry, entry_id, maxlen=ASIDE_N, approximate=True)
        except redis.ResponseError as refused:
            # The id is there already: a process that was killed had moved this answer.
            if "equal or smaller" not in str(refused):
                raise
        return f"answer {entry_id} of {self._settings.answers}: {error}; moved to {dead}"

    # ----------------------------------------------------------------------- stuck tasks, room

    def _sweep_tasks(self, mark: str) -> list[str]:
        """From time to time give stuck tasks to others, and trim streams; return sentences."""
        if self._clock() < self._sweep_at:
            return []
        settings = self._settings
        faults = [] if self._is_looked_at else self._check_server()
        self._make_group()
        self._check_answers(mark)
        keys = [settings.tasks, f"{settings.tasks}.sent", f"{settings.tasks}.dead"]
        start = "0-0"
        while True:
            start, claimed, *_ = self._client.xautoclaim(
                settings.tasks, settings.group, SWEEPER, int(1000 * settings.idle_s), start, READ_N
            )
            for entry_id, _ in claimed:
                values = [settings.group, SWEEPER, entry_id, settings.deliveries_max, ASIDE_N]
                dead = self._scripts[2](keys, values)
                if dead is not None:
                    faults.append(
                        f"task {dead.decode(errors='replace')} was given out "
                        f"{settings.deliveries_max} times and never answered; moved to {keys[2]}"
                    )
            if start in (b"0-0", "0-0"):
                break
        if settings.trim:
            self._trim_stream(settings.tasks)
        self._sweep_at = self._clock() + min(SWEEP_S_MAX, settings.idle_s / 4)
        return faults

    def _make_group(self) -> None:
        import redis  # noqa: PLC0415 - an extra

        try:
            self._client.xgroup_create(self._settings.tasks, self._settings.group, "0", True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _check_answers(self, mark: str) -> None:
        """Raise `BadInput` where new answers would get ids before `mark`, and never be read."""
        answers = self._settings.answers
        if not mark or not self._client.exists(answers):
            return
        last = self._client.xinfo_stream(answers)["last-generated-id"]
        if id_of(last) < id_of(mark):
            raise BadInput(
                f"the stream {answers} of {self._address} ends before {mark}, up to which it was "
                "read: it was begun anew, by a clock that is behind; give bridges.redis.answers "
                "another name"
            )

    def _trim_stream(self, stream: str, safe: tuple[int, int] | None = None) -> None:
        """Remove entries that every group has acknowledged and, with `safe`, none after that id."""
        firsts_needed = [] if safe is None else [(safe[0], safe[1] + 1)]
        if not self._client.exists(stream):
            return
        for group in self._client.xinfo_groups(stream):
            at, number = id_of(group["last-delivered-id"])
            firsts_needed.append((at, number + 1))
            if group["pending"]:
                oldest = self._client.xpending(stream, group["name"])["min"]
                # It is None if the last pending entry was acknowledged meanwhile.
                if oldest is not None:
                    firsts_needed.append(id_of(oldest))
        if firsts_needed:
            at, number = min(firsts_needed)
            self._client.xtrim(stream, minid=f"{at}-{number}", approximate=False)

    def _check_server(self) -> list[str]:
        """Return, once, sentences about settings of the server that may lose tasks."""
        import redis  # noqa: PLC0415 - an extra

        self._is_looked_at = True
        try:
            config = self._client.config_get("appendonly", "maxmemory", "maxmemory-policy")
        except redis.ResponseError:
            # The server does not let us see its settings.
            return []
        faults = []
        if config.get("appendonly") != "yes":
            faults.append(
                f"{self._address} has appendonly off: tasks and answers are lost with it; set "
                "appendonly yes"
            )
        if str(config.get("maxmemory-policy")).startswith("allkeys") and config["maxmemory"] != "0":
            faults.append(
                f"{self._address} evicts any key when its memory is full, our streams too; set "
                "maxmemory-policy to noeviction or volatile-lru"
            )
        return faults

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            with translate_redis_errors(self._address):
                yield
        except BrokerAway as error:
            raise Unreachable(f"{self._address}: {error}") from error


def _parse_reply(entry_id: str, fields: dict[bytes, bytes]) -> Reply:
    """Return the reply in an entry. Raises `ValueError` for one that can't be used."""
    body = fields.get(b"answer")
    if body is None:
        raise ValueError("there is no field `answer`")
    return make_reply(decode_answer(body), entry_id, id_of(entry_id)[0] / 1000)
