"""Folders behind fsspec: what is missing, what fails half way, and what the caller is told."""

import asyncio
import sys

import pytest

from headrace.adapters.snapshots import folder as snapshots_folder
from headrace.adapters.snapshots import remote as snapshots_remote
from headrace.adapters.snapshots.store import FolderUnreachable, Keys, SnapshotStore
from headrace.errors import BadSettings

pytest.importorskip("fsspec", reason="pip install 'headrace[kafka]'")

import fsspec
from fsspec.registry import known_implementations

from adapters import places
from adapters.places import Disk, Objects

KEYS = Keys(b"k" * 32)
ONE, TWO = "snapshot-000000000001.hr", "snapshot-000000000002.hr"


@pytest.fixture
def disk(tmp_path):
    with places.opened("disk", tmp_path / "state") as place:
        yield place


@pytest.fixture
def objects(tmp_path):
    with places.opened("objects", tmp_path / "state") as place:
        yield place


def store(place, **arguments):
    url = place if isinstance(place, str) else place.url
    return SnapshotStore(url, stream="s", keys=KEYS, **{"kept_n": 3} | arguments)


def spoil(fs, method, spoilt, name=""):
    """Let a method of a file system, for paths that end in `name`, do what `spoilt` does."""

    def hook(called, path):
        return spoilt() if called == method and path.endswith(name) else None

    async def awaited(called, path):
        result = hook(called, path)
        return await result if asyncio.iscoroutine(result) else result

    fs.hook = staticmethod(hook) if fs is Disk else awaited


def unspoil(fs):
    fs.hook = staticmethod(lambda method, path: None) if fs is Disk else None


def raising(error):
    def spoilt():
        raise error

    return spoilt


# ------------------------------------------------------------------------- what is missing


def test_without_fsspec_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(BadSettings, match=r"memory://x needs fsspec.*'headrace\[kafka\]'"):
        store("memory://x")


def test_without_the_package_of_a_protocol_it_is_named(monkeypatch):
    known = {"class": "ghostfs_is_absent.Ghosts", "err": "Install ghostfs to reach ghosts"}
    monkeypatch.setitem(known_implementations, "ghost", known)
    with pytest.raises(BadSettings, match="ghost://x can't be opened: Install ghostfs"):
        store("ghost://x")


def test_a_protocol_that_nobody_knows_is_refused():
    with pytest.raises(BadSettings, match="nonsense://x can't be opened: Protocol not known"):
        store("nonsense://x")


def test_a_file_system_that_cannot_be_opened_is_unreachable(monkeypatch):
    class Shut(places.Disk):
        protocol = "shut"

        def __init__(self, **_):
            raise RuntimeError("no credentials found")

    fsspec.register_implementation("shut", Shut, clobber=True)
    with pytest.raises(
        FolderUnreachable, match="shut://x can't be opened: RuntimeError: no credentials"
    ):
        store("shut://x")


def test_opening_and_looking_make_nothing(disk, tmp_path):
    assert store(disk, series="shard-1").read_latest() is None
    assert not (tmp_path / "state").exists()


# ---------------------------------------------------------------------- what fails half way


@pytest.mark.parametrize("left", [0, 10, 200])
def test_a_put_that_breaks_half_way_leaves_the_older_one_and_nothing_else(disk, left):
    store(disk).write(1, b"one", {})
    ours = store(disk)
    spoil(Disk, "put", lambda: left)
    with pytest.raises(
        FolderUnreachable, match="can't be written to: ConnectionResetError: the line"
    ):
        ours.write(2, b"two", {})
    unspoil(Disk)
    assert disk.names() == [ONE]
    assert ours.read_latest().blob == b"one"


def test_a_put_that_is_killed_half_way_leaves_no_visible_file(disk):
    ours = store(disk)
    ours.write(1, b"one", {})

    def killed():
        spoil(Disk, "rm", raising(KeyboardInterrupt()))
        return 10

    spoil(Disk, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        ours.write(2, b"two", {})
    unspoil(Disk)
    assert [name for name in disk.names() if not name.startswith(".")] == [ONE]
    assert len(disk.names()) == 2
    after = store(disk)
    assert after.read_latest().blob == b"one"
    after.write(2, b"two", {})
    assert disk.names() == [ONE, TWO]


def test_a_put_that_silently_keeps_a_part_gets_no_name_on_a_disk(disk):
    ours = store(disk)
    ours.write(1, b"one", {})
    spoil(Disk, "put", lambda: -5)
    with pytest.raises(FolderUnreachable, match="bytes not all were kept"):
        ours.write(2, b"two", {})
    unspoil(Disk)
    assert disk.names() == [ONE]


def test_a_put_that_silently_keeps_a_part_is_told_and_passed_over_among_objects(objects):
    ours = store(objects, kept_n=1)
    ours.write(1, b"one", {})
    spoil(Objects, "put", lambda: asyncio.sleep(0, -5))
    with pytest.raises(FolderUnreachable, match=rf"{TWO} is not as written: altered or cut short"):
        ours.write(2, b"two", {})
    unspoil(Objects)
    assert objects.names() == [ONE, TWO]
    assert ours.read_latest().blob == b"one"
    ours.write(2, b"two", {})
    assert ours.read_latest().blob == b"two"


@pytest.mark.parametrize("spoilt", [lambda b: b[:-1] + b"\0", lambda b: b + b"\0" * 40])
def test_what_is_kept_otherwise_than_written_is_told(objects, spoilt):
    async def rotten():
        path = next(path for path in Objects.kept if path.endswith(ONE))
        Objects.kept[path] = spoilt(Objects.kept[path])

    ours = store(objects)
    spoil(Objects, "info", rotten)
    with pytest.raises(FolderUnreachable, match=f"{ONE} is not as written"):
        ours.write(1, b"one", {})


def test_a_rename_that_cannot_replace_is_helped(disk, tmp_path):
    ours = store(disk)
    ours.write(1, b"one", {})

    def occupied():
        if (tmp_path / "state" / ONE).exists():
            raise FileExistsError("the name is taken")

    spoil(Disk, "mv", occupied)
    ours.write(1, b"anew", {})
    assert ours.read_latest().blob == b"anew"
    assert disk.names() == [ONE]


def test_a_rename_that_fails_leaves_the_older_one(disk):
    ours = store(disk)
    ours.write(1, b"one", {})
    spoil(Disk, "mv", raising(PermissionError("read-only")))
    with pytest.raises(FolderUnreachable, match="PermissionError: read-only"):
        ours.write(2, b"two", {})
    unspoil(Disk)
    assert disk.names() == [ONE]


def test_another_of_the_same_number_that_is_whole_is_as_good(objects):
    ours, theirs = store(objects), store(objects)
    theirs.write(2, b"theirs, by one who writes at the same time", {})
    content = objects.read(TWO)

    async def overtaken():
        Objects.kept[next(iter(Objects.kept))] = content

    spoil(Objects, "info", overtaken)
    ours.write(2, b"ours", {})
    assert ours.read_latest().blob.startswith(b"theirs")


def test_one_that_a_writer_ahead_removed_at_once_is_no_failure(objects):
    ours = store(objects, kept_n=1)
    store(objects, kept_n=1).write(2, b"two", {})

    async def pruned():
        Objects.kept.pop(next(path for path in Objects.kept if path.endswith(ONE)), None)

    spoil(Objects, "info", pruned, name=ONE)
    ours.write(1, b"one", {})
    unspoil(Objects)
    assert ours.read_latest().blob == b"two"


def test_one_that_is_gone_at_once_with_none_ahead_is_a_failure(objects):
    async def lost():
        Objects.kept.clear()

    ours = store(objects)
    spoil(Objects, "info", lost)
    with pytest.raises(FileNotFoundError):
        ours.write(1, b"one", {})


# ------------------------------------------------------------------------ what is told


class WhimError(Exception):
    """What a package behind fsspec may raise: no `OSError`."""


@pytest.mark.parametrize("error", [WhimError("503"), PermissionError("denied"), ValueError("odd")])
def test_whatever_a_package_raises_is_one_error_that_names_the_place(objects, error):
    ours = store(objects, series="shard-3")
    told = rf"{objects.url}/shard-3: .*{type(error).__name__}: {error}"
    for method in ("put", "info", "read"):
        spoil(Objects, method, raising(error))
        with pytest.raises(FolderUnreachable, match=told):
            ours.write(1, b"", {})
    spoil(Objects, "ls", raising(error))
    with pytest.raises(FolderUnreachable, match=told):
        ours.read_latest()
    assert issubclass(FolderUnreachable, OSError)


def test_a_bucket_that_is_not_there_is_unreachable_when_written_to(objects):
    spoil(Objects, "put", raising(FileNotFoundError("no such bucket")))
    ours = store(objects)
    assert ours.read_latest() is None
    with pytest.raises(FolderUnreachable, match="can't be written to: no such bucket"):
        ours.write(1, b"", {})


def test_a_request_without_end_is_cut_off(objects, monkeypatch):
    monkeypatch.setattr(snapshots_remote, "TIMEOUT_S", 0.05)
    ours = store(objects)
    spoil(Objects, "put", lambda: asyncio.sleep(20))
    with pytest.raises(FolderUnreachable, match=r"no answer within 0\.05 s"):
        ours.write(1, b"", {})
    spoil(Objects, "ls", lambda: asyncio.sleep(20))
    with pytest.raises(FolderUnreachable, match="can't be listed: no answer"):
        ours.read_latest()


@pytest.mark.parametrize("fs", [Disk, Objects])
def test_one_that_cannot_be_read_just_now_is_passed_over_only_for_another(tmp_path, fs):
    with places.opened(fs.protocol, tmp_path / "state") as place:
        ours = store(place)
        ours.write(1, b"one", {})
        ours.write(2, b"two", {})
        spoil(fs, "read", raising(WhimError("503")), name=TWO)
        assert ours.read_latest().blob == b"one"
        assert ours.refused[0].startswith(
            f"{TWO}: {place.url}: {TWO} can't be read: WhimError: 503"
        )
        # Nothing is not the same as nothing that can be had.
        spoil(fs, "read", raising(WhimError("503")))
        with pytest.raises(FolderUnreachable, match=f"{TWO} can't be read"):
            ours.read_latest()
        assert len(ours.refused) == 2


@pytest.mark.parametrize("fs", [Disk, Objects])
def test_what_may_not_be_removed_is_told_and_the_snapshot_written(tmp_path, fs):
    with places.opened(fs.protocol, tmp_path / "state") as place:
        ours = store(place, kept_n=1)
        ours.write(1, b"one", {})
        spoil(fs, "rm", raising(PermissionError("no deletes")))
        ours.write(2, b"two", {})
        (told,) = ours.not_removed
        assert told.startswith(f"{ONE}: ")
        assert "PermissionError: no deletes" in told
        unspoil(fs)
        ours.write(3, b"three", {})
        assert ours.not_removed == []
        assert len(place.names()) == 1


def test_a_listing_that_fails_after_the_write_is_told_and_no_failure(disk):
    ours = store(disk)
    spoil(Disk, "ls", raising(WhimError("503")))
    ours.write(1, b"one", {})
    assert "can't be listed: WhimError: 503" in ours.not_removed[0]
    unspoil(Disk)
    assert ours.read_latest().blob == b"one"


def test_a_remembered_listing_hides_no_newer_file(objects):
    ours, theirs = store(objects), store(objects)
    theirs.write(1, b"one", {})
    assert ours.read_latest().blob == b"one"
    theirs.write(2, b"two", {})
    assert ours.read_latest().blob == b"two"


def test_a_remembered_size_is_not_taken_for_that_of_the_file_just_written(objects, monkeypatch):
    ours = store(objects)
    ours.write(1, b"before", {})
    assert ours.read_latest().blob == b"before"

    def whole(*_args):
        raise AssertionError("read as if another had written it")

    monkeypatch.setattr(ours, "_read_snapshot", whole)
    ours.write(1, b"after and longer", {})


def test_a_listing_that_stumbles_over_a_removed_file_is_made_again(disk):
    ours = store(disk)
    ours.write(1, b"one", {})
    stumbles = iter([KeyError(ONE), KeyError(ONE)])

    def stumbling():
        for error in stumbles:
            raise error

    spoil(Disk, "ls", stumbling)
    assert ours.read_latest().blob == b"one"
    spoil(Disk, "ls", raising(KeyError(ONE)))
    with pytest.raises(FolderUnreachable, match="can't be listed: KeyError"):
        ours.read_latest()


def test_fsspecs_own_file_system_takes_the_same_road(tmp_path):
    folder = snapshots_remote.RemoteFolder(tmp_path.as_uri(), "shard-1")
    for content in (b"first", b"second"):
        assert folder.write_whole(ONE, content)
    assert (folder.read(ONE), folder.list_names()) == (b"second", [ONE])
    assert (tmp_path / "shard-1" / ONE).read_bytes() == b"second"
    folder.remove(ONE)
    folder.remove(ONE)
    assert folder.list_names() == []


def test_what_is_too_large_is_neither_written_nor_fetched(objects, monkeypatch):
    ours = store(objects)
    ours.write(1, b"one", {})
    ours.write(2, b"x" * 4096, {})
    for module in (snapshots_folder, snapshots_remote):
        monkeypatch.setattr(module, "SNAPSHOT_BYTES_MAX", 2048)
    spoil(Objects, "read", raising(AssertionError("fetched")), name=TWO)
    assert ours.read_latest().blob == b"one"
    [refused] = ours.refused
    assert "no snapshot has over 2048" in refused
    with pytest.raises(OSError, match="a snapshot of more than 2048 bytes"):
        ours.write(3, b"x" * 4096, {})
    assert ours.read_latest().blob == b"one"
