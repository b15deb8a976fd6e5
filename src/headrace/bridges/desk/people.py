"""The people of a desk: names, roles, tokens, sessions, and how often each person may call."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from ...errors import BadInput, BadSettings

Role = Literal["annotator", "operator", "viewer"]
ROLES: tuple[Role, ...] = ("annotator", "operator", "viewer")

PEOPLE_MAX = 1_000
SESSIONS_MAX = 10_000
SESSION_S = 12 * 3_600.0
TOKEN_BYTES = 32

_NAME = re.compile(r"[\w][\w .@-]{0,63}")


class Person(msgspec.Struct, frozen=True):
    """Somebody with a token; only the token's SHA-256 is stored."""

    name: str
    role: Role
    token_digest: str


class People:
    """The people of a desk, in a file that other users may not read, and their open sessions.

    Raises `BadInput` for a file of anything else.

    >>> import tempfile
    >>> people = People(Path(tempfile.mkdtemp()) / "people.json")
    >>> token = people.add("ann", "annotator")
    >>> people.by_token(token).name, people.by_token(token + "x")
    ('ann', None)
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._sessions: dict[str, tuple[str, float]] = {}
        self._read_at = -1.0
        self._people: dict[str, Person] = {}
        self._read_changes()

    @property
    def everybody(self) -> list[Person]:
        self._read_changes()
        return list(self._people.values())

    def add(self, name: str, role: str) -> str:
        """Make a token for somebody, which replaces an earlier one; it is returned only here.

        Raises `BadSettings` for an invalid name or role, and where there are too many people.
        """
        if not _NAME.fullmatch(name):
            raise BadSettings(
                f"the name is {name!r}; must be 1 to 64 letters, digits, blanks, or any of . @ - _"
            )
        if role not in ROLES:
            raise BadSettings(f"the role is {role!r}; must be one of {', '.join(ROLES)}")
        self._read_changes()
        if len(self._people) >= PEOPLE_MAX and name not in self._people:
            raise BadSettings(f"there are {PEOPLE_MAX} people already; remove one first")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._people[name] = Person(name, role, _hash_token(token))
        self._write_people()
        return token

    def remove(self, name: str) -> None:
        """Remove somebody's token; their sessions end. Raises `BadSettings` for a stranger."""
        self._read_changes()
        if self._people.pop(name, None) is None:
            raise BadSettings(f"there is nobody named {name!r}")
        self._write_people()

    def by_token(self, token: str) -> Person | None:
        """Return whose token this is, or None. All are compared, each in constant time."""
        self._read_changes()
        digest, owner = _hash_token(token), None
        for person in self._people.values():
            if hmac.compare_digest(person.token_digest, digest):
                owner = person
        return owner

    def open_session(self, person: Person) -> str:
        """Open a session and return its secret; with too many sessions the oldest one ends."""
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        session = secrets.token_urlsafe(TOKEN_BYTES)
        self._sessions[_hash_token(session)] = (person.token_digest, self._clock() + SESSION_S)
        return session

    def by_session(self, session: str) -> Person | None:
        """Return whose session this is; None if it is over, or their token was removed."""
        self._read_changes()
        digest, until = self._sessions.get(_hash_token(session), ("", 0.0))
        if self._clock() >= until:
            return None
        return next(
            (person for person in self._people.values() if person.token_digest == digest), None
        )

    def close_session(self, session: str) -> None:
        self._sessions.pop(_hash_token(session), None)

    def _read_changes(self) -> None:
        """Read the file again if it has changed, as by a command that adds a person."""
        try:
            changed = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            self._people, self._read_at = {}, -1.0
            return
        if changed == self._read_at:
            return
        try:
            people = msgspec.json.decode(self._path.read_bytes(), type=list[Person])
        except msgspec.MsgspecError as error:
            raise BadInput(f"{self._path} holds no people of a desk: {error}") from error
        self._people, self._read_at = {person.name: person for person in people}, changed

    def _write_people(self) -> None:
        new = self._path.with_suffix(".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        new.touch(mode=0o600)
        new.write_bytes(msgspec.json.encode(list(self._people.values())))
        new.replace(self._path)


def _hash_token(token: str) -> str:
    # A token has 256 random bits, so nobody can guess it, and a fast digest will do.
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


class Pace:
    """Limits how often each caller may call: `per_s` times a second, `burst` times at once.

    >>> pace = Pace(per_s=1.0, burst=2, clock=lambda: 0.0)
    >>> [pace.wait_s("ann") for _ in range(3)]
    [0.0, 0.0, 1.0]
    """

    def __init__(
        self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def wait_s(self, caller: str) -> float:
        """Count a call; return 0 if it may go on, else how long to wait, in seconds."""
        now = self._clock()
        allowed_n, at = self._left.pop(caller, (float(self._burst), now))
        allowed_n = min(float(self._burst), allowed_n + (now - at) * self._per_s)
        while len(self._left) >= PEOPLE_MAX:
            del self._left[next(iter(self._left))]
        self._left[caller] = (allowed_n - 1.0 if allowed_n >= 1.0 else allowed_n, now)
        return 0.0 if allowed_n >= 1.0 else (1.0 - allowed_n) / self._per_s
