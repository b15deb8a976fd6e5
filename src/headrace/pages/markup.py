"""Text as HTML: markup, text that has to be escaped, and numbers as text.

The pages in `html` and the plots in `plots` are built of these; this module imports neither.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata


class Html(str):
    """Text that is markup already. Every block is one; any other text is escaped."""

    __slots__ = ()


class NumberText(str):
    """A number as text that keeps its value, so that `make_table` can align and compare it."""

    value: float

    def __new__(cls, text: str, value: float) -> NumberText:
        number = super().__new__(cls, text)
        number.value = value
        return number


# ---------------------------------------------------------------------------- numbers in words


def count(n: float) -> NumberText:
    """A whole number with narrow no-break spaces between thousands.

    >>> count(45312).replace(chr(0x202F), "_"), count(-3)
    ('45_312', '−3')
    """
    text = f"{n:,.0f}".replace(",", "\u202f") if math.isfinite(n) else "–"
    return NumberText(with_minus(text), n)


def percent(share: float) -> NumberText:
    """A share (0..1) in percent, with one decimal.

    >>> percent(0.7814)
    '78.1%'
    """
    return NumberText(with_minus(f"{100 * share:.1f}%") if math.isfinite(share) else "–", share)


def plus_minus(share: float, half_width: float) -> NumberText:
    """A share and the half width of its interval (0..1), both in percent; the header says so.

    >>> plus_minus(0.7814, 0.0061)
    '78.1 ± 0.6'
    """
    middle = percent(share).removesuffix("%")
    if not math.isfinite(half_width):
        return NumberText(middle, share)
    return NumberText(f"{middle} ± {100 * half_width:.1f}", share)


def interval(low: float, high: float) -> NumberText:
    """An interval of shares (0..1) in percent; compared by its middle.

    >>> interval(0.775, 0.787)
    '77.5 – 78.7'
    """
    ends = f"{percent(low).removesuffix('%')} – {percent(high).removesuffix('%')}"
    return NumberText(ends, (low + high) / 2)


# ---------------------------------------------------------------------------------------- text


def clean_text(text: str) -> str:
    """Put text on one line, and replace signs that would spoil a document or turn its direction:
    control signs, lone surrogates, overrides. Joiners stay, since scripts and emoji need them.
    """
    return "".join(
        sign
        if sign.isprintable() or sign in "\u200c\u200d" or unicodedata.category(sign) == "Zs"
        else "\ufffd"
        for sign in re.sub(r"\s*[\r\n\t]\s*", " ", text)
    )


def escape_text(text: str) -> str:
    return html.escape(clean_text(text))


def shorten_text(text: str, letters_max: int) -> str:
    clean = clean_text(text)
    return clean if len(clean) <= letters_max else clean[: letters_max - 1].rstrip() + "…"


def note_line(text: str) -> str:
    return f'<p class="note">{escape_text(text)}</p>\n' if text else ""


def left_out(n: int) -> str:
    return f"Left out for want of room: {count(n)} more." if n > 0 else ""


def with_minus(figures: str) -> str:
    return figures.replace("-", "−")


def format_tick(value: float, is_percent: bool) -> str:
    """Format a number beside an axis, as short as possible."""
    if is_percent:
        return with_minus(f"{round(100 * value, 6):g}%")
    if abs(value) >= 1000:
        return count(value) if abs(value) < 1e9 else with_minus(f"{value:.3g}")
    return with_minus(f"{round(value, 9):.4g}")
