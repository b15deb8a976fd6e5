"""Strips and layers: well formed, bounded, and with every peak."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from headrace.pages import drawing, plots
from headrace.pages.drawing import Band, Curve
from headrace.pages.html import make_page, make_section
from headrace.pages.plots import layers_plot, line_plot, strips_plot
from pages.nest import read

BANDS = [Band(10.0, 30.0, "warning"), Band(30.0, 60.0, "drift")]
RED = drawing.BAND_COLOURS["drift"]
XS = np.arange(100.0)


def strips(ys, **options):
    return strips_plot([("error/adwin", ys)], XS, title="t", x_label="x", **options)


def layers(ys, **options):
    return layers_plot([("control", ys), ("round", ys)], XS, title="t", x_label="x", y_label="y")


def filled(plot, colour):
    """Paths that are filled with this colour."""
    return [found for found in re.findall(r"<path[^>]*>", plot) if f"fill: {colour}" in found]


def test_both_are_well_formed_even_with_hostile_names():
    name = '"><script>alert(1)</script>'
    blocks = [
        strips_plot([(name, XS)], XS, title=name, x_label=name, bands=BANDS),
        layers_plot([(name, XS)], XS, title=name, x_label=name, y_label=name, bands=BANDS),
    ]
    nest = read(make_page("t", "s", [make_section("plots", *blocks)]))
    assert "script" not in nest.tags


def test_only_what_is_above_the_threshold_is_filled_in_red():
    quiet, loud = strips(np.full(100, 0.9)), strips(np.where(XS == 50, 1.5, 0.1))
    assert filled(quiet, RED) == []
    ys = [float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", filled(loud, RED)[0])]
    assert max(ys) - min(ys) > 5.0


def test_the_highest_value_is_told_though_the_strip_is_cut():
    assert ">28<" in strips(np.where(XS == 50, 28.0, 0.1))
    assert ">–<" in strips(np.full(100, math.nan))


def test_a_gap_in_a_strip_is_no_fault():
    assert "<path" in strips(np.where(XS > 50, math.nan, 0.5))


def test_layers_lie_on_one_another():
    one, two = (
        [float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", path)]
        for colour in drawing.PALETTE[:2]
        for path in filled(layers(XS), colour)[:1]  # the second is the key of the legend
    )
    # Upwards is down in SVG: the second ends at half the height of the first.
    assert min(two) < min(one)
    assert max(one) == pytest.approx(max(two))


def test_without_points_nothing_is_drawn_and_said_so():
    for plot in (
        strips_plot([], [], title="t", x_label="x"),
        layers_plot([("a", [])], [], title="t", x_label="x", y_label="y"),
    ):
        assert "No points yet." in plot and "<svg" not in plot


def test_what_is_left_out_is_said():
    many = [(f"row {i}", XS) for i in range(60)]
    assert "Left out for want of room: 20 more." in strips_plot(many, XS, title="t", x_label="x")
    plot = layers_plot(many, XS, title="t", x_label="x", y_label="y")
    assert f"Left out for want of room: {60 - plots.LAYERS_MAX} more." in plot


def test_long_curves_stay_small():
    xs = np.arange(100_000.0)
    ys = np.abs(np.sin(xs))
    assert len(strips_plot([("a", ys)], xs, title="t", x_label="x")) < 60_000
    assert len(layers_plot([("a", ys)], xs, title="t", x_label="x", y_label="y")) < 40_000


def test_bands_are_shaded_and_named_and_stay_within_the_plot():
    far = [Band(-1e6, -1e5, "warning"), Band(50.0, 1e6, "drift")]
    plot = line_plot([Curve("a", XS, XS / 100)], title="t", x_label="x", y_label="y", bands=far)
    assert "DRIFT" in plot
    shade, _key = filled(plot, RED)
    xs = [float(x) for x in re.findall(r"[ML] ([\d.-]+) ", shade)]
    assert 0 < min(xs) < max(xs) < 760
    assert filled(plot, drawing.BAND_COLOURS["warning"]) == []


def test_a_logarithmic_axis_leaves_out_what_is_not_above_0():
    plot = line_plot(
        [Curve("p", [1, 2, 3, 4], [0.001, 0.1, 0.0, 1.0])],
        title="t", x_label="x", y_label="y", log_y=True,
    )  # fmt: skip
    assert [told for told in ("0.1%", "1%", "10%", "100%") if f">{told}<" not in plot] == []
    nothing = line_plot([Curve("p", [1], [0.0])], title="t", x_label="x", y_label="y", log_y=True)
    assert "No points yet." in nothing
