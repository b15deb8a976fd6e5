"""Pages that open anywhere: well formed, closed to the network, equal from run to run."""

from __future__ import annotations

import math
import re
import sys
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BadSettings
from headrace.pages import drawing, html, plots
from headrace.pages.drawing import Bar, Curve
from headrace.pages.html import make_page, make_paragraph, make_section, make_table
from headrace.pages.markup import Html, count, interval, percent, plus_minus
from headrace.pages.plots import bar_plot, events_plot, line_plot
from pages.nest import read

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$x_{1$ \\frac & &amp;",
    "</style></svg></title>",
    "\x00\x1b[31m\ud800\ufffe",
    "\u202egnirts",
    "温度 🌡 👩‍🔬 d'été {braces} %s",
    "",
]


def curves(n: int = 1000) -> list[Curve]:
    xs = np.arange(n) * 10.0
    ys = 0.9 - 0.3 * np.exp(-xs / 2000) + 0.02 * np.sin(xs)
    return [
        Curve("margin", xs, ys, ys - 0.02, ys + 0.02),
        Curve("entropy", xs, ys - 0.01),
        Curve("random", xs, ys - 0.1, style="random"),
        Curve("all labels", xs, ys + 0.02, style="all"),
    ]


def full_page() -> str:
    plot = line_plot(
        curves(), title="Accuracy", x_label="events", y_label="accuracy", marks=[(4000.0, "drift")]
    )
    bars = [Bar("margin", 0.6, 0.5, 0.7), Bar("change", -0.1, -0.2, 0.05), Bar("x", math.nan)]
    signals = [("error", [1.77e9, 1.771e9]), ("confidence", [])]
    return make_page(
        "Pilot",
        "elec2",
        [
            make_section("Accuracy", "Plain text.", plot),
            make_section("Saved", bar_plot(bars, title="Saved", x_label="labels saved")),
            make_section("Drift", events_plot(signals, title="Drift", x_label="time", time_x=True)),
            make_section("Drift", make_table(["strategy", "labels"], [["margin", count(1200)]])),
        ],
    )


# ----------------------------------------------------------------------------------------- pages


def test_page_is_well_formed_and_its_contents_lead_to_its_sections():
    nest = read(full_page())
    links = [value for name, value in nest.attributes if name == "href" and value != "data:,"]
    assert links == ["#accuracy", "#saved", "#drift", "#drift-2"]
    assert nest.ids == ["accuracy", "saved", "drift", "drift-2"]


def test_short_page_has_no_contents():
    assert "nav" not in read(make_page("t", "s", [make_section("one"), make_section("two")])).tags


def test_page_asks_the_network_for_nothing():
    document = full_page()
    assert not re.search(r"https?:|//|@import|url\(", document)
    nest = read(document)
    assert not {"script", "img", "iframe", "object", "use"} & set(nest.tags)
    assert all(
        value == "data:," or str(value)[0] == "#" for n, value in nest.attributes if n == "href"
    )
    assert not [
        name for name, _ in nest.attributes if name in ("src", "srcset") or name[:2] == "on"
    ]
    assert "xmlns" not in document


def test_two_runs_give_one_text():
    assert full_page() == full_page()


def test_page_tells_no_date_and_no_version():
    assert "matplotlib" not in full_page().lower()
    assert not re.search(r"20[2-9]\d-\d\d-\d\dT", full_page())


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.default_n(2)
def test_hostile_names_stay_text_everywhere(name: str):
    line = line_plot(
        [Curve(name, [0, 1, 2], [0.1, 0.2, 0.3])],
        title=name, x_label=name, y_label=name, marks=[(1.0, name)], note=name,
    )  # fmt: skip
    bars = bar_plot([Bar(name, 0.3)], title=name, x_label=name)
    rows = events_plot([(name, [1.0, 2.0])], title=name, x_label=name)
    cells = make_table([name, "n"], [[name, count(3)]], caption=name)
    blocks = [line, bars, rows, cells, make_paragraph(name), name]
    document = make_page(name, name, [make_section(name, *blocks)] * 4)
    document.encode()
    nest = read(document)
    assert not {"script", "img"} & set(nest.tags)
    assert nest.tags.count("style") == 1 and nest.tags.count("title") == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff\u202a-\u202e]", document)


def test_hostile_name_is_shown_in_full_in_the_legend():
    plot = line_plot([Curve("a<b>$x$", [0, 1], [0, 1])], title="t", x_label="x", y_label="y")
    assert "a<b>$x$" in read(plot).words


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30))
def test_any_text_keeps_a_block_well_formed(text: str):
    read(make_paragraph(text) + make_table([text], [[text]]) + make_section(text, text).body)


# ---------------------------------------------------------------------------------------- tables


def test_ragged_rows_are_told_at_once():
    with pytest.raises(BadSettings) as caught:
        make_table(["a", "b"], [["1"], ["1", "2"], ["1", "2", "3"]])
    assert len(caught.value.faults) == 2


def test_an_unknown_cell_is_a_dash():
    assert '<td class="number">–</td>' in make_table(["s", "n"], [["a", count(9)], ["c", None]])


def test_long_table_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(html, "ROWS_MAX", 3)
    text = make_table(["n"], [[count(i)] for i in range(10)])
    assert text.count("<tr>") == 4
    assert "Left out for want of room: 7 more." in text


def test_numbers_read_alike():
    assert count(1234567) == "1\u202f234\u202f567"
    assert percent(-0.0512) == "−5.1%"
    assert plus_minus(0.7814, 0.0061) == "78.1 ± 0.6"
    assert plus_minus(0.7814, math.nan) == "78.1"
    assert interval(0.775, 0.787) == "77.5 – 78.7"
    assert percent(math.nan) == count(math.inf) == "–"


# ----------------------------------------------------------------------------------------- plots


def test_plots_are_empty_without_points_and_do_not_fail():
    nan = [math.nan, math.inf]
    assert "No points yet." in line_plot([], title="t", x_label="x", y_label="y")
    gaps = line_plot(
        [Curve("a", nan, nan), Curve("b", [], [])], title="t", x_label="x", y_label="y"
    )
    assert "No points yet." in gaps
    assert "No bars yet." in bar_plot([], title="t", x_label="x")
    assert "No events yet." in events_plot([("a", [])], title="t", x_label="x")
    read(events_plot([("a", [])], title="t", x_label="x", x_range=(0.0, 10.0)))
    read(bar_plot([Bar("a", math.nan), Bar("b", 0.0)], title="t", x_label="x"))


_NUMBERS = st.floats()


@settings(max_examples=6, deadline=None)
@given(st.lists(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS), max_size=8), st.booleans())
def test_any_numbers_can_be_drawn(rows: list[tuple[float, float, float, float]], is_time: bool):
    xs, ys, low, high = ([row[j] for row in rows] for j in range(4))
    marks = [(x, "mark") for x in ys]
    curve = Curve("a", xs, ys, low, high)
    read(line_plot([curve], title="t", x_label="x", y_label="y", marks=marks, time_x=is_time))
    read(bar_plot([Bar("a", *row[:3]) for row in rows], title="t", x_label="x"))
    read(events_plot([("a", xs), ("b", ys)], title="t", x_label="x", time_x=is_time))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=3000))
def test_thinning_keeps_first_last_and_extremes(values: list[float]):
    column = np.array(values)
    kept = drawing.thin_rows([column], 40)
    assert len(kept) <= 40
    assert kept[0] == 0 and kept[-1] == len(values) - 1
    assert (np.diff(kept) > 0).all()
    if np.isfinite(column).any():
        assert np.nanmin(column[kept]) == np.nanmin(column)
        assert np.nanmax(column[kept]) == np.nanmax(column)


def test_long_curves_stay_small():
    short, long = (
        len(line_plot(curves(n), title="t", x_label="x", y_label="y")) for n in (400, 50_000)
    )
    assert long < 40_000
    assert long < 1.5 * short


def test_many_marks_are_drawn_once_a_place_and_names_do_not_meet():
    marks = [(float(i), f"drift {i}") for i in range(5000)]
    plot = line_plot(
        [Curve("a", [0, 5000], [0, 1])], title="t", x_label="x", y_label="y", marks=marks
    )
    assert len(plot) < 40_000
    names = sorted(
        (float(at), len(name)) for at, name in re.findall(r"x=\"([\d.]+)\"[^>]*>(drift \d+)<", plot)
    )
    assert len(names) > 3
    assert all(b[0] - a[0] > 5.0 * (a[1] + b[1]) / 2 for a, b in pairwise(names))


def test_what_is_left_out_of_a_plot_is_said():
    many = [Curve(f"c{i}", [0, 1], [0, 1]) for i in range(plots.CURVES_MAX + 3)]
    plot = line_plot(many, title="t", x_label="x", y_label="y")
    assert "room: 3 more." in plot
    assert len(re.findall(r">[^<]*c\d+<", plot)) == plots.CURVES_MAX
    bars = [Bar(f"b{i}", 0.1) for i in range(plots.ROWS_DRAWN_MAX + 1)]
    assert "room: 1 more." in bar_plot(bars, title="t", x_label="x")


def test_baselines_look_the_same_in_every_plot():
    plot = line_plot(curves(), title="t", x_label="x", y_label="y")
    assert "#808080" in plot and "stroke-dasharray" in plot
    assert drawing.INK not in plot and "currentColor" in plot
    fixed = line_plot([Curve("b", [0, 1], [0, 1], tone=3)], title="t", x_label="x", y_label="y")
    assert drawing.PALETTE[3] in fixed


def test_palette_can_be_read_on_both_pages():
    def light(colour: str) -> float:
        shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in (*drawing.PALETTE, drawing.GREY):
        assert 1.05 / (light(colour) + 0.05) >= 3.0
        assert (light(colour) + 0.05) / (light("#15171b") + 0.05) >= 3.0


def test_readers_matplotlib_settings_neither_matter_nor_change():
    before = full_page()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert full_page() == before
        assert mpl.rcParams["font.size"] == 30


def test_uneven_curve_is_refused():
    with pytest.raises(BadSettings, match="'a' is uneven"):
        Curve("a", [1, 2], [1])
    with pytest.raises(BadSettings, match="low and high"):
        Curve("a", [1, 2], [1, 2], low=[0, 1])


def test_missing_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BadSettings, match=r"headrace\[plots\]"):
        line_plot(curves(), title="t", x_label="x", y_label="y")
    assert isinstance(make_table(["a"], [["b"]]), Html), "tables need no matplotlib"
