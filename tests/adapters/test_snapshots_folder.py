"""Folders of this machine: who may read them, what a crash leaves; and which places are such."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.adapters.snapshots import folder as snapshots_folder
from headrace.adapters.snapshots.folder import LocalFolder, local_path, read_regular, write_first
from headrace.adapters.snapshots.keys import load_keys
from headrace.adapters.snapshots.store import Keys, SnapshotStore
from headrace.errors import BadSettings

KEYS = Keys(b"k" * 32)


def store(folder, **arguments):
    return SnapshotStore(folder, stream="s", keys=KEYS, **{"kept_n": 3} | arguments)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------- places


@pytest.mark.parametrize("place", ["state", "/var/lib/x", Path("a/b"), "C:/state", "a:b", "..", ""])
def test_what_is_no_url_is_a_folder(place):
    assert local_path(place) == Path(place)


@pytest.mark.parametrize(
    ("url", "path"),
    [("file:///a/b", "/a/b"), ("file://localhost/a%20b", "/a b"), ("local:///a", "/a")],
)
def test_a_file_url_is_the_folder_it_names(url, path):
    assert local_path(url) == Path(path)


@pytest.mark.parametrize("url", ["s3://bucket", "gs://b/p", "memory://x", "sftp://me@host/x"])
def test_other_urls_are_elsewhere(url):
    assert local_path(url) is None


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("s3:/bucket/x", "must be such as s3://bucket/prefix"),
        (Path("s3://bucket/x"), "must be such as s3://bucket/prefix"),
        ("s3://", "must be such as s3://bucket/prefix"),
        ("simplecache::s3://bucket", "a chain of file systems"),
        ("file://state", "write file:///state"),
        ("s3://[x", "is no URL"),
        ("sftp://me:secret@host/x", "has a password"),
        ("az://box/x?sig=secret", "has a password"),
        ("s3://bucket/x#secret", "has a password"),
    ],
)
def test_a_place_that_is_none_is_refused_and_no_secret_told(place, told):
    with pytest.raises(BadSettings, match=told) as error:
        local_path(place)
    assert "secret@" not in str(error.value)
    assert "secret" not in str(error.value).replace("what is secret", "")


# -------------------------------------------------------------------------------- files


def test_only_the_owner_may_read_a_snapshot_or_the_key(tmp_path):
    state = tmp_path / "new" / "state"
    ours = SnapshotStore(state, stream="s", series="shard-1", keys=load_keys(state), kept_n=1)
    path = Path(ours.write(1, b"", {}))
    for file in (path, state / "snapshot.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (path.parent, state):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folders_are_the_owners_alone_when_the_key_is_from_elsewhere(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(snapshots_folder, "sync_folder", synced.append)
    state = tmp_path / "state"
    store(state, series="shard-1")
    for folder in (state, state / "shard-1"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    # Their names last as well.
    assert synced == [tmp_path, state]


def test_nothing_of_fsspec_is_imported_for_a_folder(tmp_path):
    code = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from headrace.adapters.snapshots.store import SnapshotStore\n"
        f"store = SnapshotStore({str(tmp_path)!r}, stream='s', series='a', kept_n=1)\n"
        "store.write(1, b'state', {}); print(store.read_latest().blob)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "b'state'"


def test_files_and_folders_are_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    ours, did = store(tmp_path), []
    sync, replace = os.fsync, Path.replace

    def synced(number):
        did.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        sync(number)

    def replaced(path, target):
        did.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    ours.write(1, b"", {})
    assert did == ["file", "rename", "folder"]


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
@pytest.mark.parametrize("killed_at", ["os.fsync", "Path.replace"])
def test_a_process_that_is_killed_while_it_writes_leaves_the_older_one(tmp_path, killed_at):
    store(tmp_path).write(1, b"one", {})
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from headrace.adapters.snapshots.store import Keys, SnapshotStore\n"
        f"store = SnapshotStore({str(tmp_path)!r}, stream='s', keys=Keys(b'k' * 32), kept_n=3)\n"
        f"{killed_at} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.write(2, b'two', {})"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 2
    ours = store(tmp_path)
    assert ours.read_latest().blob == b"one"
    ours.write(2, b"two", {})
    assert names(tmp_path) == ["snapshot-000000000001.hr", "snapshot-000000000002.hr"]


@pytest.mark.parametrize(("owner", "method"), [(os, "fsync"), (Path, "replace")])
def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch, owner, method):
    ours = store(tmp_path)
    ours.write(1, b"one", {})

    def full(*_args):
        raise OSError("no space left")

    monkeypatch.setattr(owner, method, full)
    with pytest.raises(OSError, match="no space"):
        ours.write(2, b"two", {})
    assert names(tmp_path) == ["snapshot-000000000001.hr"]


def test_a_temporary_file_that_another_swept_is_written_again(tmp_path, monkeypatch):
    ours, synced, swept = store(tmp_path), snapshots_folder._write_synced, []

    def sweeping(folder, prefix, content):
        path = synced(folder, prefix, content)
        if not swept:
            swept.append(path)
            path.unlink()
        return path

    monkeypatch.setattr(snapshots_folder, "_write_synced", sweeping)
    ours.write(2, b"two", {})
    assert len(swept) == 1
    assert ours.read_latest().blob == b"two"


def test_a_folder_that_is_gone_is_an_error_of_the_system(tmp_path):
    ours = store(tmp_path / "state")
    (tmp_path / "state").rmdir()
    with pytest.raises(FileNotFoundError):
        ours.write(1, b"", {})


def test_a_file_that_cannot_be_read_is_refused_not_raised(tmp_path):
    store(tmp_path).write(3, b"three", {})
    (tmp_path / "snapshot-000000000004.hr").mkdir()
    ours = store(tmp_path)
    assert ours.read_latest().blob == b"three"
    assert ours.refused[0].startswith("snapshot-000000000004.hr: ")


def test_what_cannot_be_removed_is_told_and_the_snapshot_written(tmp_path):
    (tmp_path / "snapshot-000000000001.hr").mkdir()
    ours = store(tmp_path, kept_n=1)
    ours.write(2, b"two", {})
    assert ours.read_latest().blob == b"two"
    assert [told.partition(":")[0] for told in ours.not_removed] == ["snapshot-000000000001.hr"]


@pytest.mark.parametrize("has_links", [True, False])
def test_the_first_of_two_writers_of_a_key_stays_where_there_are_links(
    tmp_path, monkeypatch, has_links
):
    if not has_links:

        def refused(*_args):
            raise PermissionError("no hard links here")

        monkeypatch.setattr(os, "link", refused)
    for content in (b"first", b"second"):
        write_first(tmp_path / "key", content)
    assert (tmp_path / "key").read_bytes() == (b"first" if has_links else b"second")
    assert names(tmp_path) == ["key"]


def test_removing_what_is_gone_is_no_error(tmp_path):
    LocalFolder(tmp_path, "a").remove("snapshot-000000000001.hr")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "a link"),
        (lambda path: path.symlink_to(path.with_name("elsewhere")), "a link"),
        (Path.mkdir, "not a regular file"),
        (lambda path: path.touch(), "not a snapshot"),
        (lambda path: os.truncate(path, path.write_bytes(b"HRSNAP1\n") * 4 << 30), "bytes; no sn"),
        (lambda path: os.truncate(path, path.write_bytes(b"sparse") * 0 + (1 << 29)), "not a snap"),
    ],
)
def test_what_is_no_snapshot_neither_hangs_nor_takes_the_memory(tmp_path, make, told):
    ours = store(tmp_path)
    path = Path(ours.write(1, b"one", {}))
    make(path.with_name("snapshot-000000000002.hr"))
    assert ours.read_latest().blob == b"one"
    [refused] = ours.refused
    assert told in refused


def test_a_file_that_cannot_be_looked_at_is_closed(tmp_path, monkeypatch):
    path = tmp_path / "snapshot"
    path.touch()
    looked_at = []

    def failed(number):
        looked_at.append(number)
        raise OSError(errno.ESTALE, "stale")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", failed)
        with pytest.raises(OSError, match="stale"):
            read_regular(path, starts_with=b"")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(looked_at[0])


def test_many_files_that_somebody_put_there_cost_no_listing_each(tmp_path, monkeypatch):
    ours = store(tmp_path)
    path = Path(ours.write(1, b"one", {}))
    for i in range(2, 52):
        path.with_name(f"snapshot-{i:012d}.hr").touch()
    listed, names_of = [], LocalFolder.list_names
    monkeypatch.setattr(LocalFolder, "list_names", lambda self: listed.append(1) or names_of(self))
    assert ours.read_latest().blob == b"one"
    assert len(ours.refused) == 50
    assert ours.first_refused() == [*ours.refused[:10], "and 40 others"]
    assert len(listed) == 1
