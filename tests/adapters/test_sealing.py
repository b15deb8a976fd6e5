"""A sealed record opens where it was sealed, with its key, and nowhere else."""

from __future__ import annotations

import base64
import sys

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.adapters.sealing import Sealer, load_sealer
from headrace.errors import BadSettings, NotSealed
from headrace.settings.sealing import SealingSettings

KEY, OLD = b"k" * 32, b"o" * 40
SEALER = Sealer([KEY], "payments")


def test_the_cipher_is_that_of_its_specification() -> None:
    """The vectors of https://c2sp.org/XAES-256-GCM."""
    nonce, text = b"ABCDEFGHIJKLMNOPQRSTUVWX", b"XAES-256-GCM"
    for byte, bound, expected in (
        (1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ):
        sealer = Sealer([KEY], "")
        sealer._first.cipher = bytes([byte]) * 32
        found = sealer._derive_cipher(sealer._first, nonce).encrypt(nonce[12:], text, bound)
        assert found.hex() == expected


@given(st.binary(max_size=200), st.text(max_size=20), st.integers(0) | st.text(max_size=20))
def test_what_was_sealed_opens_and_the_record_is_one_line(
    text: bytes, log: str, place: int | str
) -> None:
    record = SEALER.seal(text, log, place)
    assert b"\n" not in record
    assert SEALER.unseal(record, log, place) == text
    assert SEALER.seal(text, log, place) == record
    assert len(text) < 12 or text not in record


@given(st.binary(max_size=40), st.data())
def test_no_altered_record_opens_to_anything_else(text: bytes, data: st.DataObject) -> None:
    record = bytearray(SEALER.seal(text, "answers", 7))
    at = data.draw(st.integers(0, len(record) - 1))
    record[at] ^= data.draw(st.integers(1, 255))
    try:
        found = SEALER.unseal(bytes(record), "answers", 7)
    except (NotSealed, BadSettings):
        return
    # JSON and base64 have a few spellings for one record; none of them is another record.
    assert found == text


@given(st.binary(max_size=200))
@example(b'{"type":"Sealed","of":"payments/a","key":"","data":"AAAA"}')
@example(b'{"type":"Sealed","of":"payments/a","key":"","data":"*"}')
def test_nothing_that_was_not_sealed_opens(line: bytes) -> None:
    with pytest.raises((NotSealed, BadSettings)):
        SEALER.unseal(line, "a", 0)


def test_a_record_opens_at_its_own_place_in_its_own_log_of_its_own_stream() -> None:
    record = SEALER.seal(b"secret", "answers", 10)
    for sealer, log, place in (
        (SEALER, "answers", 11),
        (SEALER, "requests", 10),
        (SEALER, "answers1", 0),
        (Sealer([KEY], "orders"), "answers", 10),
    ):
        with pytest.raises(NotSealed):
            sealer.unseal(record, log, place)
    renamed = msgspec.json.decode(record) | {"of": "payments/requests"}
    with pytest.raises(NotSealed, match="does not fit"):
        SEALER.unseal(msgspec.json.encode(renamed), "requests", 10)
    with pytest.raises(NotSealed, match="is not sealed") as caught:
        SEALER.unseal(b'{"label": "secret"}', "answers", 10)
    assert "secret" not in str(caught.value)


def test_no_two_records_share_a_nonce_and_a_key() -> None:
    nonces = set()
    for place in range(200):
        for text in (b"", b"a", b"b"):
            record = msgspec.json.decode(SEALER.seal(text, "answers", place))
            nonces.add(base64.b64decode(record["data"])[:24])
    assert len(nonces) == 600


def test_keys_are_rotated_by_a_new_first_line(tmp_path) -> None:
    path = tmp_path / "keys"
    settings = SealingSettings(keys_file=str(path))
    path.write_text(OLD.decode() + "\n")
    before = load_sealer(settings, "s")
    assert before is not None
    old = before.seal(b"one", "answers", 0)
    path.write_text(f"{KEY.decode()}\n{OLD.decode()}\n")
    both = load_sealer(settings, "s")
    assert both is not None
    new = both.seal(b"two", "answers", len(old))
    assert [both.unseal(old, "answers", 0), both.unseal(new, "answers", len(old))] == [
        b"one",
        b"two",
    ]
    with pytest.raises(BadSettings, match=r"sealed by the key .*keys_file does not hold it"):
        before.unseal(new, "answers", len(old))
    for secret in (KEY, OLD):
        for shown in (repr(both), new.decode()):
            assert secret.decode() not in shown


def test_a_key_that_is_missing_or_short_is_told_and_never_shown(tmp_path, monkeypatch) -> None:
    path = tmp_path / "keys"
    with pytest.raises(BadSettings, match=r"sealing\.keys_file is .* can't be read"):
        load_sealer(SealingSettings(keys_file=str(path)), "s")
    path.write_text(f"{'k' * 64}\nshort\n")
    with pytest.raises(BadSettings, match="has 5 bytes; must have at least 32") as caught:
        load_sealer(SealingSettings(keys_file=str(path)), "s")
    assert "short" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(BadSettings, match=r"pip install headrace\[sealing\]"):
        Sealer([KEY], "s")
