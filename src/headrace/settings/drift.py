"""The sections [drift] and [[drift.watch]]: what is watched, and how alarms become a level."""

from __future__ import annotations

import difflib
import re
from importlib.metadata import entry_points
from typing import Annotated, Literal

from msgspec import field

from .fields import Count, Section, about

_PLACE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")

_ON_ERRORS = ("adwin", "page_hinkley", "kswin", "ddm", "eddm", "hddm_a", "hddm_w", "fhddm")
DETECTORS_OF_SIGNAL = {
    "error": ("glr", *_ON_ERRORS),
    "surprise": ("glr", "adwin", "page_hinkley", "kswin"),
    "recall": ("glr", *_ON_ERRORS),
    # EDDM measures the distance between errors: it needs a yes or no.
    "confidence": (*(name for name in _ON_ERRORS if name != "eddm"), "ks"),
    "expected_accuracy": ("welch",),
    "class_mix": (*_ON_ERRORS, "psi"),
    "features": ("psi", "ks"),
    "inputs": ("domain_classifier",),
}
DETECTORS = tuple(dict.fromkeys(name for names in DETECTORS_OF_SIGNAL.values() for name in names))

ONE_BY_ONE = ("error", "surprise", "recall", "confidence", "class_mix")
"""Signals that are one number after another; a detector of your own can watch these."""


class WatchSettings(Section, frozen=True, kw_only=True):
    """[[drift.watch]]: one signal and the detector that watches it."""

    signal: Annotated[
        Literal[
            "confidence",
            "expected_accuracy",
            "class_mix",
            "error",
            "surprise",
            "recall",
            "features",
            "inputs",
        ],
        about(
            "Signals that need labels: `error` (of labels drawn at random), `surprise` (of all "
            "labels that judge: being wrong, less the chance of it guessed on arrival), `recall` "
            "(of each class). Signals without labels: `confidence` (of each prediction), "
            "`expected_accuracy` (the mean confidence, recalibrated), `class_mix` (the predicted "
            "classes), `features` (each alone), `inputs` (all features together)."
        ),
    ]
    detector: Annotated[
        str,
        about(
            "For signals of single numbers: `glr`, one of river's (`adwin`, `page_hinkley`, "
            "`kswin`, `ddm`, `eddm`, `hddm_a`, `hddm_w`, `fhddm`), `module:attribute` that makes a "
            "detector of your own, or the name of an entry point in `headrace.detectors`. For "
            "signals of windows: `psi`, `ks`, `welch`, `domain_classifier`."
        ),
    ]
    level: Annotated[
        Literal["warning", "drift"], about("The highest drift level that this watch may raise.")
    ] = "drift"
    options: Annotated[
        dict[str, float],
        about(
            "Arguments of the detector, or `threshold` of a windowed test. They override the value "
            "that follows from `false_alarm_every_n`."
        ),
    ] = field(default_factory=dict)


DEFAULT_WATCHES = (
    # Only labels show that predictions became worse: docs/DRIFT.md has the figures.
    WatchSettings(signal="error", detector="glr"),
    # Events that the strategy chose are often predicted wrongly, and that is no drift; predictions
    # that are wrong more often than was guessed are one, and every label can show it.
    WatchSettings(signal="surprise", detector="glr"),
    WatchSettings(signal="recall", detector="glr"),
    WatchSettings(signal="confidence", detector="adwin", level="warning"),
    WatchSettings(signal="expected_accuracy", detector="welch", level="warning"),
    WatchSettings(signal="class_mix", detector="psi", level="warning"),
    WatchSettings(signal="features", detector="psi", level="warning"),
    WatchSettings(signal="features", detector="ks", level="warning"),
    WatchSettings(signal="inputs", detector="domain_classifier", level="warning"),
)


class DriftSettings(Section, frozen=True, kw_only=True):
    """[drift]: what is watched, and how alarms become a level."""

    false_alarm_every_n: Annotated[
        Count,
        about(
            "Events in which all watches together raise at most one false DRIFT. The lines of the "
            "watches follow from it, except where `options` sets them, and for river's detectors "
            "other than `adwin`, which have lines of their own."
        ),
    ] = 10_000
    check_every_n: Annotated[Count, about("Events from one windowed test to the next.")] = 500
    window_n: Annotated[
        Count, about("How many of the newest events are compared with a sample of those before.")
    ] = 500
    agree_n: Annotated[Count, about("How many signals at WARNING at once make a DRIFT.")] = 3
    hold_n: Annotated[
        Count, about("Events for which a level holds after its last alarm, before it falls.")
    ] = 1_000
    features_max: Annotated[Count, about("Only this many features are tested, the first.")] = 50
    watch: Annotated[tuple[WatchSettings, ...], about("The watches; replaces the default.")] = (
        DEFAULT_WATCHES
    )


def faults_of_drift(drift: DriftSettings) -> list[str]:
    """List the watches whose detector does not exist, or does not fit their signal."""
    faults = []
    for i, watch in enumerate(drift.watch):
        where, name = f"drift.watch[{i}]", watch.detector
        allowed = DETECTORS_OF_SIGNAL[watch.signal]
        if name not in DETECTORS:
            known = ", ".join(DETECTORS)
            if not _is_own(name):
                near = difflib.get_close_matches(name, DETECTORS, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                faults.append(
                    f"{where}.detector is {name!r}; must be one of {known}, or module:attribute"
                    f"{hint}"
                )
            elif watch.signal not in ONE_BY_ONE:
                faults.append(
                    f"{where} watches {watch.signal} with {name}; a detector of your own can "
                    f"watch {', '.join(ONE_BY_ONE)}"
                )
        elif name not in allowed:
            faults.append(f"{where} watches {watch.signal} with {name}; use {', '.join(allowed)}")
    return faults


def _is_own(name: str) -> bool:
    return bool(_PLACE.fullmatch(name) or entry_points(group="headrace.detectors", name=name))
