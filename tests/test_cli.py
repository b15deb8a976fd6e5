"""The command line: help, exit codes, sentences instead of tracebacks."""

import io
import os
import shutil
import subprocess
import sys

import pytest

from headrace import cli
from headrace.errors import BrokenInvariant

GOOD = 'seed = 4\n[model]\nname = "naive-bayes"\n[query]\nstrategy = "entropy"\n'


def test_help_names_every_command_and_imports_none_of_them():
    homes = [home for _, home in cli.COMMANDS.values() if home != "headrace.cli"]
    script = (
        "import sys, importlib.abc\n"
        "class Refused(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        assert name not in {homes!r}, name\n"
        "import headrace.cli\n"
        "sys.meta_path.insert(0, Refused())\n"
        "headrace.cli.main(['--help'])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    for name, (about, _) in cli.COMMANDS.items():
        assert name in found.stdout
        assert about in found.stdout


@pytest.mark.parametrize("argv", [["run", "--help"], ["replay", "--help"], ["check", "--help"]])
def test_each_command_has_help(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 0
    assert argv[0] in capsys.readouterr().out


def test_an_unknown_command_ends_with_2_and_names_the_known(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["rum"])
    assert caught.value.code == 2
    assert "'run'" in capsys.readouterr().err


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("headrace 0.")


def test_good_settings_are_summed_up(tmp_path, capsys):
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    assert cli.main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "good.toml: ok" in out
    assert "seed 4, model naive-bayes" in out
    assert "strategy entropy, budget share 0.05" in out


def test_every_fault_is_told_at_once_names_included(tmp_path, capsys):
    path = tmp_path / "bad.toml"
    path.write_text(
        'sed = 4\n[model]\nname = "naive-baies"\n[query]\nstrategy = "entropie"\n'
        "[label]\nanswers_max = 0\n"
    )
    assert cli.main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "sed is not a setting; did you mean seed?" in out
    assert "label.answers_max is 0; must be at least 1" in out
    assert "did you mean naive-bayes?" in out
    assert "did you mean entropy?" in out
    assert "4 faults in" in out


def test_faults_that_only_the_parts_see_are_told_once(tmp_path, capsys):
    path = tmp_path / "bad.toml"
    path.write_text('[model]\nname = "nothing"\n[input]\nid = ""\n')
    assert cli.main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert out.count("model.name is 'nothing'") == 1
    assert "input.id is empty" in out
    assert "2 faults in" in out


@pytest.mark.parametrize(("content", "said"), [(None, "can't be read"), ("a = [", "is not TOML")])
def test_settings_that_can_not_be_read_end_with_2(tmp_path, capsys, content, said):
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_text(content)
    assert cli.main(["check", str(path)]) == 2
    assert said in capsys.readouterr().err


def test_a_run_ends_with_the_essentials_of_its_report(tmp_path, capsys):
    events = tmp_path / "events.jsonl"
    events.write_text('{"id": "a", "at": 1, "features": {"x": 1}}\nnothing\n')
    assert cli.main(_run(tmp_path)) == 0
    told = capsys.readouterr()
    assert "events: 1\n" in told.out
    assert f"rejected: 1 (not_json 1), see {tmp_path}/state/rejects.jsonl" in told.out
    assert "accuracy: none yet: all " in told.out
    assert told.err == "headrace: read as numeric: x\n"


def test_a_run_that_could_use_no_record_says_so_and_ends_with_1(tmp_path, capsys):
    events = tmp_path / "events.jsonl"
    events.write_text('{"uid": "a", "at": 1}\n' * 3 + "nothing\n")
    assert cli.main(_run(tmp_path)) == 1
    told = capsys.readouterr()
    assert "rejected: 4 (no_id 3, not_json 1)" in told.out
    assert "not one of 4 records could be used, most for no_id; [input] says" in told.err
    events.write_text("")
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "requests.jsonl").unlink()
    assert cli.main(_run(tmp_path)) == 0


def _run(folder):
    return [
        "run",
        *("--events", str(folder / "events.jsonl")),
        *("--requests", str(folder / "requests.jsonl")),
        *("--state", str(folder / "state")),
    ]


def test_what_is_yours_to_mend_is_one_message_and_ends_with_2(tmp_path, capsys):
    assert cli.main(_run(tmp_path)) == 2
    err = capsys.readouterr().err
    assert err.startswith("headrace: ")
    assert "is not there" in err
    assert "Traceback" not in err


def test_a_state_that_is_a_file_and_requests_to_a_pipe_are_told_with_a_sentence(tmp_path, capsys):
    (tmp_path / "events.jsonl").write_text("")
    (tmp_path / "state").write_text("")
    assert cli.main(_run(tmp_path)) == 2
    assert "state is a file; --state has to be a folder" in capsys.readouterr().err
    (tmp_path / "state").unlink()
    assert cli.main([*_run(tmp_path), "--requests", "-"]) == 2
    assert "--requests is -; must be a file" in capsys.readouterr().err


def test_an_error_of_the_system_is_told_without_its_number(monkeypatch, capsys, tmp_path):
    def full(arguments):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("headrace.commands.check.main", full)
    assert cli.main(["check", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "headrace: somewhere: No space left on device\n"


def test_a_fault_of_ours_asks_for_a_report_and_ends_with_70(monkeypatch, capsys, tmp_path):
    def broken(arguments):
        raise BrokenInvariant("two and two are five")

    monkeypatch.setattr("headrace.commands.check.main", broken)
    assert cli.main(["check", str(tmp_path / "x.toml")]) == 70
    err = capsys.readouterr().err
    assert "two and two are five" in err
    assert "Please report it" in err


def test_every_limit_of_the_budget_is_told(tmp_path, capsys):
    path = tmp_path / "money.toml"
    path.write_text("[query.budget]\nmoney = 50.0\nper_period = 7\n")
    assert cli.main(["check", str(path)]) == 0
    assert "budget per_period 7, money 50.0\n" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["seed = 4\n", "sed = 4\n"])
def test_settings_with_a_byte_order_mark_are_read(text, tmp_path, capsys):
    path = tmp_path / "marked.toml"
    path.write_text(text, encoding="utf-8-sig")
    assert cli.main(["check", str(path)]) == (1 if "sed" in text else 0)
    assert ("did you mean seed?" if "sed" in text else ": ok") in capsys.readouterr().out


SHOWN = {"ascii": "caf? - ?", "latin-1": "café - ?", "utf-8": "café – 東"}


def _named(folder):
    path = folder / "named.toml"
    path.write_text('stream = "café – 東"\n', encoding="utf-8")
    return path


@pytest.mark.parametrize("encoding", SHOWN)
def test_a_name_that_the_encoding_lacks_is_still_told(encoding, tmp_path, monkeypatch):
    written = io.BytesIO()
    out = io.TextIOWrapper(written, encoding=encoding, write_through=True)
    monkeypatch.setattr("sys.stdout", out)
    assert cli.main(["check", str(_named(tmp_path))]) == 0
    assert f"stream {SHOWN[encoding]}," in written.getvalue().decode(encoding)


def test_a_program_of_its_own_tells_it_too(tmp_path):
    encoding, path = "latin-1", _named(tmp_path)
    found = subprocess.run(
        [sys.executable, "-m", "headrace", "check", str(path)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert f"stream {SHOWN[encoding]}," in found.stdout.decode(encoding)


def test_ctrl_c_while_a_command_is_imported_ends_without_a_trace(monkeypatch):
    def interrupted(command):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_make_parser", interrupted)
    assert cli.main(["run"]) == 130
