"""Inputs that can't be read as lines are refused with what they are, before the run is begun."""

import bz2
import gzip
import json
import lzma
import os
import sys

import pytest

from headrace import cli
from headrace.drivers.files.places import RunFiles
from headrace.drivers.files.run import run_files
from headrace.errors import BadInput
from headrace.settings import Settings

LINE = json.dumps({"id": "e1", "at": 1_714_557_600, "features": {"x": 1}}) + "\n"
# Python 3.11 has no zstd; this is an empty frame of it.
ZSTD = bytes.fromhex("28b52ffd2000010000")


def run(folder, **files):
    names = {"events": "e.jsonl", "answers": "a.jsonl", **files}
    (folder / "e.jsonl").touch()
    run_files(
        RunFiles(
            events=folder / names["events"] if names["events"] else None,
            answers=folder / names["answers"],
            requests=folder / "requests.jsonl",
            state=folder / "state",
        ),
        Settings(),
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "e.jsonl.gz.1",
            gzip.compress(LINE.encode(), mtime=0),
            "packed by gzip; give it a name that",
        ),
        ("e.jsonl.bz2", bz2.compress(LINE.encode()), "packed by bzip2, which is not read; unpack"),
        ("e.jsonl.xz", lzma.compress(LINE.encode()), "packed by xz"),
        ("e.jsonl.zst", ZSTD, "packed by zstd"),
        ("e.zip", b"PK\x03\x04\x14\x00", "a zip file"),
        ("e.pq", b"PAR1\x15\x04\x15", r"Parquet; give it a name that ends with \.parquet"),
        ("e.txt", LINE.encode("utf-16"), "UTF-16; save it as UTF-8"),
    ],
)
@pytest.mark.parametrize("role", ["events", "answers"])
def test_files_that_hold_no_lines_are_refused(tmp_path, role, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=f"{name} is {said}"):
        run(tmp_path, **{role: name})
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("role", ["events", "answers"])
def test_a_named_pipe_is_refused_without_waiting_for_who_writes_to_it(tmp_path, role):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match=r"pipe is a pipe, .* or --events - for events from a pipe"):
        run(tmp_path, **{role: "pipe"})


def test_closed_standard_input_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(BadInput, match="standard input is closed"):
        run(tmp_path, events=None)


def test_check_tells_what_a_log_is_that_holds_no_lines(tmp_path, capsys):
    (tmp_path / "e.jsonl.bz2").write_bytes(bz2.compress(LINE.encode()))
    (tmp_path / "s.toml").touch()
    assert cli.main(["check", str(tmp_path / "s.toml"), "--events", f"{tmp_path}/e.jsonl.bz2"]) == 2
    assert "is packed by bzip2, which is not read; unpack it" in capsys.readouterr().err
