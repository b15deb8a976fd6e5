"""Which key signs, where it is found, and that it is seen nowhere."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headrace.adapters.snapshots import keys
from headrace.adapters.snapshots.keys import Keys, key_id, load_keys
from headrace.adapters.snapshots.store import SnapshotStore
from headrace.errors import BadSettings

KEY = b"k" * 32
OTHER = b"o" * 32


@pytest.fixture(autouse=True)
def no_keys_around(monkeypatch):
    for name in (keys.KEY_ENV, keys.KEY_FILE_ENV, keys.OLD_KEYS_FILE_ENV):
        monkeypatch.delenv(name, raising=False)


def test_a_folder_without_a_key_gets_one_of_its_own_and_keeps_it(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    path = SnapshotStore(here, stream="s", kept_n=3).write(1, b"x", {})
    assert SnapshotStore(here, stream="s", kept_n=3).read_latest().blob == b"x"
    ours = SnapshotStore(there, stream="s", kept_n=3)
    shutil.copy(path, there)
    assert ours.read_latest() is None
    assert load_keys(here) != load_keys(there)


@pytest.mark.parametrize("as_url", [False, True])
def test_the_series_of_a_folder_share_one_key_file(tmp_path, as_url):
    place = (tmp_path / "a b").as_uri() if as_url else tmp_path / "a b"
    loaded = load_keys(place)
    for i in range(3):
        SnapshotStore(place, stream="s", series=f"shard-{i}", keys=loaded, kept_n=1).write(
            1, b"x", {}
        )
    assert SnapshotStore(place, stream="s", series="shard-2", kept_n=1).read_latest().blob == b"x"
    assert [path.parent.name for path in tmp_path.rglob("*.key")] == ["a b"]


def test_all_who_start_at_once_get_the_same_key(tmp_path):
    for i in range(10):
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(load_keys, [tmp_path / str(i)] * 8))) == 1
        assert [path.name for path in (tmp_path / str(i)).iterdir()] == ["snapshot.key"]


@pytest.mark.parametrize("place", ["s3://bucket/state", "memory://state"])
def test_a_remote_place_has_no_key_of_its_own(place, monkeypatch):
    with pytest.raises(BadSettings, match="set HEADRACE_SNAPSHOT_KEY or HEADRACE_SNAPSHOT_KEY_F"):
        load_keys(place)
    with pytest.raises(BadSettings, match="holds no key of its own"):
        SnapshotStore(place, stream="s", kept_n=1)
    monkeypatch.setenv(keys.KEY_ENV, KEY.decode())
    assert load_keys(place) == Keys(KEY)


def test_the_environment_comes_before_the_folder(tmp_path, monkeypatch):
    file = tmp_path / "key"
    file.write_bytes(OTHER + b"\n")
    monkeypatch.setenv(keys.KEY_FILE_ENV, str(file))
    assert load_keys(tmp_path) == Keys(OTHER)
    monkeypatch.delenv(keys.KEY_FILE_ENV)
    monkeypatch.setenv(keys.KEY_ENV, KEY.decode())
    assert load_keys(tmp_path) == Keys(KEY)
    assert not (tmp_path / "snapshot.key").exists()
    monkeypatch.setenv(keys.KEY_FILE_ENV, str(file))
    with pytest.raises(BadSettings, match="both set"):
        load_keys(tmp_path)


def test_old_keys_are_found_beside_the_new_one(tmp_path, monkeypatch):
    SnapshotStore(tmp_path, stream="s", keys=Keys(OTHER), kept_n=3).write(1, b"old", {})
    file = tmp_path / "old-keys"
    file.write_bytes(b"x" * 40 + b"\n" + OTHER + b"\n")
    monkeypatch.setenv(keys.KEY_ENV, KEY.decode())
    monkeypatch.setenv(keys.OLD_KEYS_FILE_ENV, str(file))
    found = load_keys(tmp_path)
    assert (found.signing, found.old) == (KEY, (b"x" * 40, OTHER))
    assert found.find(key_id(OTHER)) == OTHER
    assert found.find("00" * 8) is None
    assert SnapshotStore(tmp_path, stream="s", kept_n=3).read_latest().blob == b"old"


def test_a_weak_missing_or_shared_key_is_refused(tmp_path, monkeypatch):
    with pytest.raises(BadSettings, match="at least 32"):
        Keys(b"short")
    with pytest.raises(BadSettings, match="at least 32"):
        Keys(KEY, (b"short",))
    monkeypatch.setenv(keys.KEY_FILE_ENV, str(tmp_path / "absent"))
    with pytest.raises(BadSettings, match="can't be read"):
        load_keys(tmp_path)
    monkeypatch.delenv(keys.KEY_FILE_ENV)
    load_keys(tmp_path)
    (tmp_path / "snapshot.key").chmod(0o644)
    with pytest.raises(BadSettings, match="chmod 600"):
        load_keys(tmp_path)


def test_an_empty_variable_is_a_fault_not_a_missing_key(tmp_path, monkeypatch):
    monkeypatch.setenv(keys.KEY_ENV, "")
    with pytest.raises(BadSettings, match="0 bytes"):
        load_keys(tmp_path)


def test_keys_are_in_no_text_and_no_file(tmp_path, monkeypatch):
    secret = "never-to-be-seen-" * 2
    monkeypatch.setenv(keys.KEY_ENV, secret)
    loaded = load_keys(tmp_path)
    store = SnapshotStore(tmp_path, stream="s", keys=loaded, kept_n=1)
    store.write(1, b"body", {})
    assert secret not in f"{loaded!r} {loaded} {store!r}"
    (file,) = tmp_path.iterdir()
    assert secret.encode() not in file.read_bytes()
    monkeypatch.setenv(keys.KEY_ENV, "too-short-secret")
    with pytest.raises(BadSettings) as error:
        load_keys(tmp_path)
    assert "too-short-secret" not in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path.with_name("nowhere")),
    ],
)
def test_what_somebody_put_in_place_of_the_own_key_is_refused_at_once(tmp_path, make):
    make(tmp_path / "snapshot.key")
    with pytest.raises(BadSettings, match=r"snapshot\.key is no regular file; remove it"):
        load_keys(tmp_path)


def test_a_key_of_another_user_is_not_ours(tmp_path, monkeypatch):
    load_keys(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    stat = Path.lstat

    def of_another(path):
        found = list(stat(path))
        found[4] = 4712
        return os.stat_result(found)

    monkeypatch.setattr(Path, "lstat", of_another)
    with pytest.raises(BadSettings, match="another user's"):
        load_keys(tmp_path)


def test_a_file_of_keys_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(keys.KEY_FILE_ENV, "/dev/zero")
    with pytest.raises(BadSettings, match="HEADRACE_SNAPSHOT_KEY_FILE names /dev/zero, which has"):
        load_keys(tmp_path)


def test_who_only_reads_makes_no_key_and_no_folder(tmp_path):
    with pytest.raises(BadSettings, match=r"has no snapshot\.key: nothing was ever saved there"):
        load_keys(tmp_path / "elsewhere", makes_key=False)
    assert list(tmp_path.iterdir()) == []
    made = load_keys(tmp_path / "here")
    assert load_keys(tmp_path / "here", makes_key=False) == made
