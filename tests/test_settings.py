"""Settings: every fault at once, with its path, and what to do instead."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headrace.errors import BadInput, BadSettings
from headrace.settings import Settings, WatchSettings, check, load, parse


def faults_of(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        parse(raw)
    return caught.value.faults


def test_nothing_set_is_the_default_and_the_default_is_well() -> None:
    assert parse({}) == Settings()
    assert check(Settings()) == []


def test_every_fault_is_told_at_once_with_its_path() -> None:
    found = faults_of(
        {
            "seed": "seven",
            "sream": "x",
            "query": {
                "strategy": 5,
                "budget": {"share": 2, "per_huor": 3},
                "uncertainty_from": "modle",
                "rounds": "often",
            },
            "learn": {"passes": 0},
            "drift": {"watch": [{"signal": "error", "detector": "adwim"}, {"detector": "psi"}]},
        }
    )
    assert found == [
        "seed is 'seven'; must be at least 0 and below 4611686018427387904",
        "sream is not a setting; did you mean stream?",
        "query.strategy is 5; must be a text",
        "query.budget.share is 2; must be above 0 and at most 1",
        "query.budget.per_huor is not a setting; did you mean per_hour?",
        "query.uncertainty_from is 'modle'; must be one of model, served, disagreement; "
        "did you mean 'model'?",
        "query.rounds is 'often'; must be a section",
        "learn.passes is 0; must be at least 1",
        "drift.watch[0].detector is 'adwim'; must be one of adwin, page_hinkley, kswin, ddm, eddm, "
        "hddm_a, hddm_w, fhddm, psi, ks; did you mean 'adwin'?",
        "drift.watch[1].signal is missing",
    ]


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ({"query": {"budget": {}}}, "query.budget has no limit; set share, per_hour or cap"),
        ({"query": {"rounds": {"every_n": 3_000}}}, "at most observe.window_n, which is 2000"),
        (
            {"label": {"answers_wanted": 4}},
            "label.answers_max is 3; must be at least label.answers_wanted, which is 4",
        ),
        ({"schema": {"classes": ["a", "a"]}}, "schema.classes names a class twice"),
        (
            {"drift": {"watch": [{"signal": "features", "detector": "adwin"}]}},
            "drift.watch[0] watches features with adwin; use psi",
        ),
        (
            {"drift": {"watch": [{"signal": "error", "detector": "psi"}]}},
            "drift.watch[0] watches error with psi",
        ),
        (
            {"drift": {"watch": [{"signal": "class_mix", "detector": "ks"}]}},
            "drift.watch[0] watches class_mix with ks",
        ),
    ],
)
def test_faults_between_settings_are_told(raw: dict[str, Any], fault: str) -> None:
    [found] = faults_of(raw)
    assert fault in found


def test_a_round_without_a_schedule_is_told() -> None:
    rounds = msgspec.structs.replace(Settings().query.rounds, every_n=None)
    query = msgspec.structs.replace(Settings().query, rounds=rounds)
    settings = msgspec.structs.replace(Settings(), query=query)
    assert check(settings) == ["query.rounds has no schedule; set every_n or every_s"]


@pytest.mark.parametrize("bad", [-1, 0, 1.5, "1", True, None, float("nan"), float("inf")])
def test_a_share_out_of_bounds_or_of_another_kind_is_refused(bad: Any) -> None:
    if bad is None:
        # TOML has no null; a program may say None where the field may be absent.
        assert "no limit" in faults_of({"query": {"budget": {"share": None}}})[0]
        return
    [fault] = faults_of({"query": {"budget": {"share": bad}}})
    assert fault.startswith("query.budget.share is ")


@pytest.mark.parametrize("seed", [0, 1, (1 << 62) - 1])
def test_seeds_up_to_62_bits_are_taken(seed: int) -> None:
    assert parse({"seed": seed}).seed == seed


def test_whole_numbers_do_for_seconds() -> None:
    assert parse({"label": {"deadline_s": 60}}).label.deadline_s == 60.0


def test_watches_replace_the_default() -> None:
    raw = {"drift": {"watch": [{"signal": "error", "detector": "ddm", "options": {"x": 1.5}}]}}
    watch = WatchSettings(signal="error", detector="ddm", options={"x": 1.5})
    assert parse(raw).drift.watch == (watch,)
    assert parse({"drift": {"watch": []}}).drift.watch == ()


def test_a_table_of_the_wrong_kind_is_told() -> None:
    found = faults_of({"schema": {"features": {"x": "number"}}})
    assert "a table whose values are one of numeric, categorical" in found[0]


# ------------------------------------------------------------------------------------ files


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        'seed = 3\n[query.budget]\nshare = 0.1\n[[drift.watch]]\nsignal = "error"\n'
        'detector = "ddm"\n'
    )
    found = load(path)
    assert (found.seed, found.query.budget.share, len(found.drift.watch)) == (3, 0.1, 1)
    assert found == parse(tomllib.loads(path.read_text()))


@pytest.mark.parametrize("content", [b"seed = ", b"[query\n", b"seed = 1\nseed = 2", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_theirs_to_mend(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"settings\.toml"):
        load(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be read"):
        load(tmp_path / "nowhere.toml")
