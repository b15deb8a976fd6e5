"""What hours of work led to is written, whatever names, terminals and plots do at the end."""

from __future__ import annotations

import ast
import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest

from headrace import cli
from headrace.adapters.printing import make_console, try_drawing
from headrace.commands.pilot import command as pilot
from repo.tree import SOURCE, modules

NAMES = ("load [kg]", "valve [/off]", "[bold]", ":warning: light", "naïve – é", "C:\\temp [x")


def table(folder: Path, label: str) -> Path:
    path = folder / "past.csv"
    rows = [f"{i % 7},{'yes' if i % 7 > 3 else 'no'}" for i in range(40)]
    path.write_text("\n".join([f"a,{label}", *rows]), encoding="utf-8")
    return path


MODEL = ("--model", "logistic")
"""What is shown here does not depend on the model, and a committee learns slowly."""

QUICK = (*MODEL, "--seeds", "1", "--processes", "1", "--budget", "0.2", "--strategies", "random")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_from_outside_is_shown_as_it_is(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["pilot", str(table(tmp_path, name)), *QUICK]) == 0
    assert repr(name) in capsys.readouterr().out


def test_no_command_makes_a_console_of_its_own() -> None:
    found = [
        str(module)
        for module in modules()
        for node in ast.walk(ast.parse((SOURCE / module).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Console"
    ]
    assert found == ["adapters/printing.py"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_an_output_of_any_encoding_ends_a_pilot_well(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path, "naïve – é")
    wanted = (*QUICK[:-1], "random", "margin", "--json", str(tmp_path / "found.json"))
    output = TextIOWrapper(BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main(["pilot", str(path), *wanted]) == 0
    output.flush()
    told = output.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "all labels" in told
    if encoding == "ascii":
        assert "'na?ve - ?'" in told
    assert json.loads((tmp_path / "found.json").read_bytes())["events_n"] == 40


@pytest.mark.parametrize("broken", ["show_pilot", "as_html"])
def test_results_are_written_before_anything_is_drawn_of_them(
    broken: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no font")

    monkeypatch.setattr(pilot, broken, fails)
    path, found = table(tmp_path, "label"), tmp_path / "found.json"
    wanted = ("--json", str(found), "--html", str(tmp_path / "found.html"))
    assert cli.main(["pilot", str(path), *QUICK, *wanted]) == 1
    assert json.loads(found.read_bytes())["events_n"] == 40
    assert "could not be made: ValueError: no font" in capsys.readouterr().err


def test_without_a_table_and_without_json_the_results_go_to_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise UnicodeEncodeError("ascii", "–", 0, 1, "no such mark")

    monkeypatch.setattr(pilot, "show_pilot", fails)
    assert cli.main(["pilot", str(table(tmp_path, "label")), *QUICK]) == 1
    assert json.loads(capsys.readouterr().out)["events_n"] == 40


@pytest.mark.parametrize("rows_n", [3, 5, 12])
@pytest.mark.default_n(1)
def test_a_pilot_of_a_few_rows_has_its_page(rows_n: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path, page = tmp_path / "past.csv", tmp_path / "found.html"
    path.write_text("a,label\n" + "".join(f"{i},{'yn'[i % 2]}\n" for i in range(rows_n)))
    wanted = ("--seeds", "2", "--processes", "1", "--budget", "1", "--strategies", "margin")
    assert cli.main(["pilot", str(path), *MODEL, *wanted, "--html", str(page)]) == 0
    assert "</html>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "zone"),
    [
        *((kind, None) for kind in ("s", "ms", "us", "ns")),
        *(("ms", "UTC"), ("ns", "UTC"), ("us", "Europe/Berlin")),
    ],
)
@pytest.mark.default_n(2)
def test_times_of_parquet_are_read_in_any_unit(
    kind: str, zone: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    step = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind]
    odd = 7 if kind == "ns" else 0
    values = [(1_714_557_600 + 60 * i) * step + odd for i in range(40)]
    columns = {
        "logged": pa.array(values, pa.timestamp(kind, tz=zone)),
        "a": pa.array(np.arange(40.0) % 7),
        "label": ["yes" if i % 7 > 3 else "no" for i in range(40)],
    }
    parquet.write_table(pa.table(columns), tmp_path / "past.parquet")
    for at in ([], ["--at", "logged"]):
        assert cli.main(["pilot", str(tmp_path / "past.parquet"), *at, *QUICK]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_decorations_that_work_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert try_drawing("the table", lambda: make_console().print("[red]x[/red]"))
    assert capsys.readouterr().out == "[red]x[/red]\n"
