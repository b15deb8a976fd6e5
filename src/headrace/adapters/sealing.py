"""Records sealed with AES-GCM where they are stored: only a key can read, alter or move one.

The cipher is XAES-256-GCM: AES-256-GCM with a key and a nonce for each record, derived from the key
and 192 bits (https://c2sp.org/XAES-256-GCM, version 1). Those bits are a keyed hash of the whole
record and its place (HMAC-SHA-256), as in SIV modes (RFC 5297, section 1.3): two records that
differ in a single bit or in their place have different bits, and the same record in the same place
is sealed to the same bytes. So no counter has to outlive a crash, nothing is drawn at random, and a
run that is decided again writes the same bytes.

The name of the log and the record's place in it are authenticated but not stored: a record that is
moved, swapped or put into another log does not open.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BadSettings, NotSealed
from ..settings.sealing import SealingSettings
from .secret_files import read_secret

KEY_BYTES_MIN = 32
NONCE_BYTES = 24
TAG_BYTES = 16
_SETTING = "sealing.keys_file"


class Sealed(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A sealed record as a line of JSON: `of` names its log, `key` is the id of its key.

    `data` is base64 of the nonce (24 bytes), the ciphertext, and the tag (16 bytes).
    """

    of: str
    key: str
    data: str


_RECORD = msgspec.json.Decoder(Sealed)


class _Key:
    """One key: its id, which reveals nothing about it, and the two keys derived from it."""

    def __init__(self, secret: bytes) -> None:
        self.id = hmac.digest(secret, b"headrace sealing: id", "sha256")[:8].hex()
        self.cipher = hmac.digest(secret, b"headrace sealing: cipher", "sha256")
        self.nonce = hmac.digest(secret, b"headrace sealing: nonce", "sha256")


class Sealer:
    """Seals records with the first of `keys`, and opens those sealed with any of them.

    `stream` is part of every log's name. Raises `BadSettings` for a key under 32 bytes, and where
    `cryptography` is not installed.

    >>> sealer = Sealer([b"k" * 32], "payments")
    >>> line = sealer.seal(b"hello", "answers", 0)
    >>> sealer.unseal(line, "answers", 0)
    b'hello'
    >>> sealer.unseal(line, "answers", 170)
    Traceback (most recent call last):
    headrace.errors.NotSealed: its seal does not fit: it was altered, or is not where...
    """

    def __init__(self, keys: Sequence[bytes], stream: str) -> None:
        for secret in keys:
            if len(secret) < KEY_BYTES_MIN:
                raise BadSettings(
                    f"{_SETTING}: a key has {len(secret)} bytes; must have at least "
                    f"{KEY_BYTES_MIN}, such as `openssl rand -hex 32` gives"
                )
        self._stream = stream
        self._first = _Key(keys[0])
        self._by_id = {key.id: key for key in map(_Key, keys)}
        self._aes, self._cmac, self._invalid = _import_ciphers()

    def __repr__(self) -> str:
        return f"Sealer(key {self._first.id!r}, {len(self._by_id)} keys)"

    def name_log(self, log: str) -> str:
        """Return the full name of a log of this stream, as its records have it."""
        return f"{self._stream}/{log}"

    def seal(self, text: bytes, log: str, place: int | str) -> bytes:
        """Return a record of a log as it is stored, without a newline.

        `place` is where it stands in the log: a byte, or another unique name.
        """
        key, bound = self._first, _bind_place(self.name_log(log), place)
        content = len(bound).to_bytes(8, "big") + bound + text
        nonce = hmac.digest(key.nonce, content, "sha256")[:NONCE_BYTES]
        sealed = self._derive_cipher(key, nonce).encrypt(nonce[12:], text, bound)
        data = base64.b64encode(nonce + sealed).decode()
        return msgspec.json.encode(Sealed(of=self.name_log(log), key=key.id, data=data))

    def unseal(self, record: bytes, log: str, place: int | str) -> bytes:
        """Return the text of a record. Raises `NotSealed`, and `BadSettings` without its key."""
        return self.unseal_named(record, self.name_log(log), place)

    def unseal_named(self, record: bytes, name: str, place: int | str) -> bytes:
        """Do the same as `unseal` by the log's full name; with "" any log will do."""
        try:
            parsed = _RECORD.decode(record)
            data = base64.b64decode(parsed.data, validate=True)
        except (msgspec.MsgspecError, UnicodeError, ValueError):
            raise NotSealed(f"it is not sealed, and {_SETTING} is set") from None
        if name and parsed.of != name:
            raise NotSealed(f"it is sealed as one of {parsed.of[:100]!r}, not of {name!r}")
        key = self._by_id.get(parsed.key)
        if key is None:
            raise BadSettings(
                f"a record of {parsed.of[:100]!r}, at {place}, is sealed by the key "
                f"{parsed.key[:16]!r}, and {_SETTING} does not hold it; add it as a further line. "
                "Keys stay there as long as there are records of theirs"
            )
        nonce, sealed = data[:NONCE_BYTES], data[NONCE_BYTES:]
        if len(sealed) >= TAG_BYTES:
            bound = _bind_place(parsed.of, place)
            try:
                opened: bytes = self._derive_cipher(key, nonce).decrypt(nonce[12:], sealed, bound)
            except self._invalid:
                pass
            else:
                return opened
        raise NotSealed("its seal does not fit: it was altered, or is not where it was written")

    def seal_lines(self, lines: Sequence[bytes], log: str, position: int) -> list[bytes]:
        """Seal lines of a file, newlines included; the first is stored at byte `position`."""
        sealed = []
        for line in lines:
            sealed.append(self.seal(line.removesuffix(b"\n"), log, position) + b"\n")
            position += len(sealed[-1])
        return sealed

    def _derive_cipher(self, key: _Key, nonce: bytes) -> Any:
        """Return AES-GCM with the key that is derived from the first half of a nonce."""
        halves = [
            self._cmac(key.cipher, b"\x00" + bytes([i]) + b"X\x00" + nonce[:12]) for i in (1, 2)
        ]
        return self._aes(b"".join(halves))


def load_sealer(settings: SealingSettings, stream: str) -> Sealer | None:
    """Return a sealer with the keys from their file; None where nothing is sealed.

    Raises `BadSettings` for a file or a key that can't be used.

    >>> load_sealer(SealingSettings(), "payments") is None
    True
    """
    if not settings.keys_file:
        return None
    return Sealer(read_keys(settings.keys_file, _SETTING), stream)


def read_keys(path: str | Path, setting: str) -> list[bytes]:
    """Read the keys of a file, one a line; `setting` names it in errors. Raises `BadSettings`."""
    return [key.encode() for key in read_secret(str(path), setting, "keys, one a line").split()]


def _bind_place(name: str, place: int | str) -> bytes:
    return f"headrace sealed 1 {len(name)}:{name}{place}".encode("utf-8", "surrogatepass")


def _import_ciphers() -> tuple[Any, Any, Any]:
    """Return AES-GCM, CMAC of one message, and the error of a wrong tag. Raises `BadSettings`."""
    try:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.algorithms import AES  # noqa: PLC0415
        from cryptography.hazmat.primitives.cmac import CMAC  # noqa: PLC0415
    except ImportError as error:
        raise BadSettings(
            f"{_SETTING} is set, and cryptography is not installed: pip install headrace[sealing]"
        ) from error

    def cmac(key: bytes, message: bytes) -> bytes:
        mac = CMAC(AES(key))
        mac.update(message)
        return mac.finalize()

    return AESGCM, cmac, InvalidTag
