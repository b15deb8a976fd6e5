"""Snapshot files: what is trusted, what is refused, and what a crash leaves."""

import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.adapters import snapshots
from headrace.adapters.snapshots import SnapshotStore, key_id, load_key, load_old_keys
from headrace.errors import BadSettings

KEY = b"k" * 32
OTHER = b"o" * 32


def store(
    folder: Path, *, stream: str = "s", key: bytes | None = KEY, **arguments
) -> SnapshotStore:
    return SnapshotStore(folder, stream=stream, key=key, **{"kept_n": 3} | arguments)


@pytest.fixture(autouse=True)
def no_keys_around(monkeypatch):
    for name in (snapshots.KEY_ENV, snapshots.KEY_FILE_ENV, snapshots.OLD_KEYS_FILE_ENV):
        monkeypatch.delenv(name, raising=False)


def test_what_was_written_comes_back(tmp_path):
    path = store(tmp_path).write(5, b"state", {"events": 12, "topic-0": "9:4"}, at=3.5)
    found = store(tmp_path).latest()
    assert found is not None
    assert (found.seq, found.blob, found.path, found.at) == (5, b"state", path, 3.5)
    assert found.positions == {"events": 12, "topic-0": "9:4"}


def test_nothing_there_is_none(tmp_path):
    assert store(tmp_path / "new" / "folder").latest() is None


def test_the_newest_is_by_number_even_past_twelve_digits(tmp_path):
    ours = store(tmp_path, kept_n=9)
    for seq in (10**12, 9, 10):
        ours.write(seq, b"%d" % seq, {})
    assert ours.latest().blob == b"%d" % 10**12


def test_only_the_owner_may_read_a_snapshot_or_the_key(tmp_path):
    path = store(tmp_path / "state", key=None).write(1, b"", {})
    for file in (path, path.parent / "snapshot.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


# ------------------------------------------------------------------------------ refusing


def small_file(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return store(folder).write(2, b"ab", {"x": 1})


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_one_flipped_bit_anywhere_is_refused(tmp_path, data):
    path = small_file(tmp_path / "flip")
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, 8 * len(content) - 1))
    content[at // 8] ^= 1 << at % 8
    path.write_bytes(content)
    ours = store(path.parent)
    assert ours.latest() is None
    assert len(ours.refused) == 1


def test_a_file_cut_short_or_grown_at_any_point_is_refused(tmp_path):
    path = small_file(tmp_path / "cut")
    ours, content = store(path.parent), path.read_bytes()
    for cut in [content[:n] for n in range(len(content))] + [content + b"x", b""]:
        path.write_bytes(cut)
        assert ours.latest() is None


def test_a_refused_file_is_passed_over_for_the_next_older_and_stays(tmp_path):
    ours = store(tmp_path)
    ours.write(1, b"one", {})
    bad = ours.write(2, b"two", {})
    bad.write_bytes(bad.read_bytes()[:-1])
    assert ours.latest().blob == b"one"
    assert ours.refused == [f"{bad.name}: altered or cut short: its signature does not fit"]
    assert bad.exists()
    bad.unlink()
    assert ours.latest().blob == b"one"
    assert ours.refused == []


def test_the_file_of_another_stream_is_refused(tmp_path):
    store(tmp_path, stream="theirs").write(1, b"", {})
    ours = store(tmp_path, stream="ours")
    assert ours.latest() is None
    assert "'theirs'" in ours.refused[0]


def test_a_file_signed_with_an_unknown_key_is_refused(tmp_path):
    store(tmp_path, key=OTHER).write(1, b"", {})
    ours = store(tmp_path)
    assert ours.latest() is None
    assert key_id(OTHER) in ours.refused[0]


def test_a_file_that_claims_our_key_without_having_it_is_refused(tmp_path):
    path = store(tmp_path, key=OTHER).write(1, b"", {})
    path.write_bytes(
        path.read_bytes().replace(bytes.fromhex(key_id(OTHER)), bytes.fromhex(key_id(KEY)))
    )
    assert store(tmp_path).latest() is None


def test_an_older_file_put_back_is_refused(tmp_path):
    ours = store(tmp_path)
    old = ours.write(3, b"old", {})
    assert ours.latest(seq_min=4) is None
    assert "older than 4" in ours.refused[0]
    assert ours.latest(seq_min=3).blob == b"old"
    old.rename(tmp_path / "snapshot-000000000008.hr")
    assert ours.latest(seq_min=4) is None
    assert "written as number 3" in ours.refused[0]


def test_nothing_is_decoded_before_the_signature_is_verified(tmp_path, monkeypatch):
    path = small_file(tmp_path / "unverified")
    path.write_bytes(path.read_bytes()[:-1] + b"\0")

    def never(*_args, **_kwargs):
        raise AssertionError("decoded an unverified header")

    monkeypatch.setattr(snapshots.msgspec.json, "decode", never)
    assert store(path.parent).latest() is None


def test_a_file_that_cannot_be_read_is_refused_not_raised(tmp_path):
    (tmp_path / "snapshot-000000000004.hr").mkdir()
    ours = store(tmp_path)
    assert ours.latest() is None
    assert ours.refused[0].startswith("snapshot-000000000004.hr: ")


# ------------------------------------------------------------------------------- files


def test_only_the_newest_are_kept_and_other_files_are_left_alone(tmp_path):
    (tmp_path / "snapshot-notes.txt").write_text("mine")
    ours = store(tmp_path, kept_n=2)
    for seq in range(5):
        ours.write(seq, b"", {})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["snapshot-000000000003.hr", "snapshot-000000000004.hr", "snapshot-notes.txt"]


def test_pruning_never_takes_the_one_just_written(tmp_path):
    for seq in (100, 200):
        store(tmp_path, key=OTHER).write(seq, b"", {})
    ours = store(tmp_path, kept_n=1)
    for seq in (1, 2):
        ours.write(seq, b"%d" % seq, {})
    assert ours.latest().blob == b"2"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_crash_before_the_rename_leaves_the_older_one(tmp_path, monkeypatch, broken):
    ours = store(tmp_path)
    ours.write(1, b"one", {})

    def crash(*_args):
        raise KeyboardInterrupt

    def killed(*_args, **_kwargs):
        raise AssertionError("a killed process cleans nothing up")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots.os, "fsync", crash) if broken == "fsync" else patch.setattr(
            Path, "replace", crash
        )
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(AssertionError):
            ours.write(2, b"two", {})
    assert ours.latest().blob == b"one"
    assert len(list(tmp_path.iterdir())) == 2
    assert store(tmp_path).latest().blob == b"one"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    ours = store(tmp_path)
    ours.write(1, b"one", {})

    def full(*_args):
        raise OSError("no space left")

    monkeypatch.setattr(snapshots.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        ours.write(2, b"two", {})
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot-000000000001.hr"]


# -------------------------------------------------------------------------------- keys


def test_a_folder_without_a_key_gets_one_of_its_own_and_keeps_it(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    path = store(here, key=None).write(1, b"x", {})
    assert store(here, key=None).latest().blob == b"x"
    ours = store(there, key=None)
    shutil.copy(path, there)
    assert ours.latest() is None
    assert load_key(here) != load_key(there)


def test_the_environment_comes_before_the_folder(tmp_path, monkeypatch):
    file = tmp_path / "key"
    file.write_bytes(OTHER + b"\n")
    monkeypatch.setenv(snapshots.KEY_FILE_ENV, str(file))
    assert load_key(tmp_path) == (key_id(OTHER), OTHER)
    monkeypatch.delenv(snapshots.KEY_FILE_ENV)
    monkeypatch.setenv(snapshots.KEY_ENV, KEY.decode())
    assert load_key(tmp_path) == (key_id(KEY), KEY)
    assert not (tmp_path / "snapshot.key").exists()
    monkeypatch.setenv(snapshots.KEY_FILE_ENV, str(file))
    with pytest.raises(BadSettings, match="both set"):
        load_key(tmp_path)


def test_old_keys_verify_and_the_new_one_signs(tmp_path, monkeypatch):
    store(tmp_path, key=OTHER).write(1, b"old", {})
    file = tmp_path / "old-keys"
    file.write_bytes(b"x" * 40 + b"\n" + OTHER + b"\n")
    monkeypatch.setenv(snapshots.KEY_ENV, KEY.decode())
    monkeypatch.setenv(snapshots.OLD_KEYS_FILE_ENV, str(file))
    assert load_old_keys() == (b"x" * 40, OTHER)
    ours = store(tmp_path, key=None)
    assert ours.latest().blob == b"old"
    ours.write(2, b"new", {})
    assert store(tmp_path, key=KEY).latest().blob == b"new"
    assert store(tmp_path, key=OTHER).latest().blob == b"old"


def test_a_weak_missing_or_shared_key_is_refused(tmp_path, monkeypatch):
    with pytest.raises(BadSettings, match="at least 32"):
        store(tmp_path, key=b"short")
    with pytest.raises(BadSettings, match="at least 32"):
        store(tmp_path, old_keys=(b"short",))
    monkeypatch.setenv(snapshots.KEY_FILE_ENV, str(tmp_path / "absent"))
    with pytest.raises(BadSettings, match="can't be read"):
        load_key(tmp_path)
    monkeypatch.delenv(snapshots.KEY_FILE_ENV)
    load_key(tmp_path)
    (tmp_path / "snapshot.key").chmod(0o644)
    with pytest.raises(BadSettings, match="chmod 600"):
        load_key(tmp_path)


def test_an_empty_variable_is_a_fault_not_a_missing_key(tmp_path, monkeypatch):
    monkeypatch.setenv(snapshots.KEY_ENV, "")
    with pytest.raises(BadSettings, match="0 bytes"):
        load_key(tmp_path)


def test_keys_and_bodies_are_in_no_text_and_no_file(tmp_path, monkeypatch):
    secret = "never-to-be-seen-" * 2
    monkeypatch.setenv(snapshots.KEY_ENV, secret)
    ours = store(tmp_path, key=None)
    path = ours.write(1, b"private body", {})
    assert secret.encode() not in path.read_bytes()
    assert secret not in repr(ours)
    assert "private" not in repr(ours.latest())
    monkeypatch.setenv(snapshots.KEY_ENV, "too-short-secret")
    with pytest.raises(BadSettings) as error:
        load_key(tmp_path)
    assert "too-short-secret" not in str(error.value)


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(BadSettings, match="snapshots_kept"):
        store(tmp_path, kept_n=0)
    with pytest.raises(BadSettings, match="number of a snapshot"):
        store(tmp_path).write(-1, b"", {})
    assert not list(tmp_path.iterdir())
