"""Times of tables: zone and unit of the settings, and what a file itself calls a time."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from headrace import BadInput
from headrace.adapters.tables import read_table
from headrace.adapters.tables.records import lines_of
from headrace.commands.pilot.history import history_of
from headrace.observe.decode import Decoder
from headrace.settings import Settings, parse

NOON = 1714564800.0  # 2024-05-01T12:00:00Z
NAIVE = dt.datetime.fromisoformat("2024-05-01T12:00:00")
ZURICH = dt.datetime.fromisoformat("2024-05-01T14:00:00")


def settings_of(**fields: Any) -> Settings:
    return parse({"input": fields})


def parquet(folder: Path, at: Any) -> Path:
    pa = pytest.importorskip("pyarrow")
    parquet_of = pytest.importorskip("pyarrow.parquet")
    rows = [{"id": "a", "at": at, "meta": {"ts": at}, "x": 1.0, "y": "p"}]
    path = folder / "log.parquet"
    parquet_of.write_table(pa.Table.from_pylist(rows), path)
    return path


def csv(folder: Path, at: str) -> Path:
    path = folder / "log.csv"
    path.write_text(f"id,at,x,y\na,{at},1,p\n", encoding="utf-8")
    return path


def at_of(path: Path, settings: Settings) -> float:
    lines = b"".join(lines_of(path, settings)).splitlines()
    found = Decoder(settings.input).decode(lines)
    assert found.rejected == []
    return float(found.batch.at[0])


def pilot_at(path: Path, settings: Settings) -> float:
    history, _ = history_of(read_table(path), "log", label="y", at="at", settings=settings)
    assert history.at is not None
    return float(history.at[0])


MOMENTS = [
    (NAIVE, {}),
    (NAIVE, {"at_unit": "ms"}),
    (NAIVE, {"zone": "UTC"}),
    (ZURICH, {"zone": "Europe/Zurich"}),
    (ZURICH, {"zone": "+02:00", "at_unit": "ns"}),
    (NAIVE.replace(tzinfo=dt.UTC), {"zone": "Europe/Zurich"}),
    (NAIVE.replace(tzinfo=dt.UTC), {"at_unit": "us"}),
]


@pytest.mark.parametrize(("at", "fields"), MOMENTS)
def test_a_moment_of_parquet_has_its_own_unit_and_zone(at: Any, fields: Any, tmp_path: Path):
    path = parquet(tmp_path, at)
    assert at_of(path, settings_of(**fields)) == NOON
    assert at_of(path, settings_of(at="meta.ts", **fields)) == NOON
    assert pilot_at(path, settings_of(**fields)) == NOON


def test_a_moment_in_rows_that_a_batch_is_read_from_has_its_zone(tmp_path: Path):
    settings = settings_of(zone="Europe/Zurich", batch="instances")
    (line,) = b"".join(lines_of(parquet(tmp_path, ZURICH), settings)).splitlines()
    assert json.loads(line)["at"] == "2024-05-01T14:00:00"


@pytest.mark.parametrize(
    ("at", "fields"),
    [
        ("1714564800000", {"at_unit": "ms"}),
        ("1714564800", {"zone": "Europe/Zurich"}),
        ("2024-05-01 14:00:00", {"zone": "Europe/Zurich", "at_unit": "ms"}),
        ("2024-05-01T12:00:00Z", {"zone": "Europe/Zurich"}),
        ("2024-05-01 12:00:00 UTC", {}),
    ],
)
def test_a_time_of_csv_has_the_unit_and_zone_of_the_settings(at: str, fields: Any, tmp_path: Path):
    path = csv(tmp_path, at)
    assert at_of(path, settings_of(**fields)) == NOON
    assert pilot_at(path, settings_of(**fields)) == NOON


@pytest.mark.parametrize(
    ("at", "setting"), [("2024-05-01 12:00:00", "zone"), ("1714564800000", "at_unit")]
)
def test_a_pilot_names_the_setting_that_its_times_need(at: str, setting: str, tmp_path: Path):
    with pytest.raises(BadInput, match=rf"--at at: .*input\.{setting}"):
        pilot_at(csv(tmp_path, at), settings_of())
