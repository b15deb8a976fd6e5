"""Bytes that are mostly right and a little wrong: good ones after a few changes."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

TOKENS = (
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\n", b"\t", b'"', b"\\"),
    *(b"{", b"}", b"[", b"]", b":", b",", b"=", b"#", b"'", b"null", b"true", b"NaN", b"-Infinity"),
    *(b"-0", b"1e999", b"1e-999", b"9" * 400, b"0x1f", b"1_000", b"\\ud800", b"\\u0000"),
    *(b'{"a":' * 200, b"[" * 2_000, b'""', b'"label":', b'"id":', b'"at":', b"[query]\n"),
)


@st.composite
def mutated(draw: st.DrawFn, good: Sequence[bytes], changes_max: int = 4) -> bytes:
    """One of the good ones after up to so many changes: cut, put in, doubled, flipped, spliced."""
    found = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(0, changes_max))):
        start = draw(st.integers(0, len(found)))
        stop = draw(st.integers(start, min(len(found), start + 40)))
        match draw(st.sampled_from(("cut", "token", "bytes", "double", "flip", "splice", "end"))):
            case "cut":
                del found[start:stop]
            case "token":
                found[start:stop] = draw(st.sampled_from(TOKENS))
            case "bytes":
                found[start:stop] = draw(st.binary(max_size=8))
            case "double":
                found[start:start] = found[start:stop] * draw(st.integers(1, 3))
            case "flip" if start < len(found):
                found[start] ^= 1 << draw(st.integers(0, 7))
            case "splice":
                other = draw(st.sampled_from(good))
                at = draw(st.integers(0, len(other)))
                found[start:stop] = other[at : at + 40]
            case "end":
                del found[start:]
    return bytes(found)
