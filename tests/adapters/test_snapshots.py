"""Snapshots in any place: what is trusted, what is refused, what others do at the same time."""

import hashlib
import hmac
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import msgspec
import pytest

from headrace.adapters.snapshots import store as snapshots
from headrace.adapters.snapshots.keys import key_id
from headrace.adapters.snapshots.store import Keys, SnapshotStore
from headrace.errors import BadSettings

pytest.importorskip("fsspec", reason="pip install 'headrace[kafka]'")

from adapters import places

KEY = b"k" * 32
OTHER = b"o" * 32
THREADS_N = 4
ROUNDS_N = 15


@pytest.fixture(params=places.PROTOCOLS)
def place(request, tmp_path):
    with places.opened(request.param, tmp_path / "state") as place:
        yield place


def store(place, *, stream="s", key=KEY, old=(), **arguments):
    return SnapshotStore(place.url, stream=stream, keys=Keys(key, old), **{"kept_n": 3} | arguments)


def name_of(seq):
    return f"snapshot-{seq:012d}.hr"


def test_what_was_written_comes_back(place):
    path = store(place).write(5, b"state", {"events": 12, "topic-0": "9:4"}, at=3.5)
    assert path == f"{place.url}/{name_of(5)}"
    found = store(place).read_latest()
    assert (found.seq, found.blob, found.path, found.at) == (5, b"state", path, 3.5)
    assert found.positions == {"events": 12, "topic-0": "9:4"}


def test_an_empty_body_and_a_large_one_come_back(place):
    for seq, blob in enumerate([b"", bytes(range(256)) * 40_000]):
        store(place).write(seq, blob, {})
        assert store(place).read_latest().blob == blob


def test_nothing_there_is_none(place):
    ours = store(place, series="shard-3")
    assert (ours.read_latest(), ours.refused) == (None, [])


def test_the_newest_is_by_number_even_past_twelve_digits(place):
    ours = store(place, kept_n=9)
    for seq in (10**12, 9, 10):
        ours.write(seq, b"%d" % seq, {})
    assert ours.read_latest().blob == b"%d" % 10**12


def test_a_number_written_again_is_replaced(place):
    ours = store(place)
    for blob in (b"before", b"after and longer"):
        ours.write(5, blob, {})
        assert ours.read_latest().blob == blob
    assert place.names() == [name_of(5)]


def test_the_same_content_is_written_as_the_same_bytes(place):
    kept = []
    for _ in range(2):
        store(place).write(5, b"state", {"b": 1, "a": 2}, at=1.5)
        kept.append(place.read(name_of(5)))
    assert kept[0] == kept[1]


def test_what_is_cleared_is_gone_and_other_series_stay(place):
    one, other = store(place, series="a"), store(place, series="b")
    for seq in (3, 4):
        one.write(seq, b"state", {})
    other.write(3, b"other", {})
    assert one.clear() == 2
    assert one.read_latest() is None
    assert other.read_latest().blob == b"other"
    assert one.clear() == 0


def test_each_series_has_a_folder_of_its_own(place):
    for i in range(3):
        store(place, series=f"shard-{i}").write(i, b"%d" % i, {})
    assert [store(place, series=f"shard-{i}").read_latest().blob for i in range(3)] == [
        b"0",
        b"1",
        b"2",
    ]
    assert place.below("shard-1").names() == [name_of(1)]
    assert store(place).read_latest() is None


# ------------------------------------------------------------------------------ refusing


def regions(content):
    """Bytes [start, stop) of each part of a file."""
    header = int.from_bytes(content[16:20], "big")
    ends = [0, 8, 16, 20, 20 + header, len(content) - 32, len(content)]
    names = ("magic", "key id", "length", "header", "body", "signature")
    return {name: range(*pair) for name, pair in zip(names, pairwise(ends), strict=True)}


@pytest.mark.parametrize("region", ["magic", "key id", "length", "header", "body", "signature"])
def test_one_flipped_bit_anywhere_is_refused(place, region):
    store(place).write(2, b"body", {"x": 1})
    ours, content = store(place), place.read(name_of(2))
    assert len(regions(content)[region]) >= 4
    for i in regions(content)[region]:
        place.put(name_of(2), content[:i] + bytes([content[i] ^ 1 << i % 8]) + content[i + 1 :])
        assert ours.read_latest() is None
        assert len(ours.refused) == 1


def test_a_file_cut_short_or_grown_at_any_point_is_refused(place):
    store(place).write(2, b"ab", {"x": 1})
    ours, content = store(place), place.read(name_of(2))
    for cut in [content[:n] for n in range(len(content))] + [content + b"x"]:
        place.put(name_of(2), cut)
        assert ours.read_latest() is None


def test_a_refused_file_is_passed_over_for_the_next_older_and_stays(place):
    ours = store(place)
    ours.write(1, b"one", {})
    ours.write(2, b"two", {})
    place.put(name_of(2), place.read(name_of(2))[:-1])
    assert ours.read_latest().blob == b"one"
    assert ours.refused == [f"{name_of(2)}: altered or cut short: its signature does not fit"]
    assert name_of(2) in place.names()
    place.remove(name_of(2))
    assert ours.read_latest().blob == b"one"
    assert ours.refused == []


def test_the_file_of_another_stream_is_refused(place):
    store(place, stream="theirs").write(1, b"", {})
    ours = store(place, stream="ours")
    assert ours.read_latest() is None
    assert ours.refused == [f"{name_of(1)}: of the stream 'theirs'; this one is 'ours'"]


def test_the_file_of_another_series_is_refused(place):
    for series in ("shard-3", ""):
        store(place, series=series).write(1, b"three", {})
    store(place, series="shard-4").write(0, b"four", {})
    three, four = place.below("shard-3"), place.below("shard-4")
    four.put(name_of(1), three.read(name_of(1)))
    four.put(name_of(2), place.read(name_of(1)))
    ours = store(place, series="shard-4")
    assert ours.read_latest().blob == b"four"
    assert [sentence.partition(": ")[2] for sentence in ours.refused] == [
        "of the series ''; this one is 'shard-4'",
        "of the series 'shard-3'; this one is 'shard-4'",
    ]


def signed_by_hand(header, blob):
    """A file as a holder of the key could write it."""
    signed = b"HRSNAP1\n" + bytes.fromhex(key_id(KEY)) + len(header).to_bytes(4, "big")
    signed += header + blob
    return signed + hmac.digest(KEY, signed, "sha256")


def header_of(blob):
    sha256 = hashlib.sha256(blob).hexdigest()
    return msgspec.json.encode({"stream": "s", "seq": 4, "sha256": sha256, "positions": {}})


def test_a_file_from_before_there_were_series_is_read(place):
    ours = store(place)
    ours.write(3, b"newer in time, lower in number", {})
    place.put(name_of(4), signed_by_hand(header_of(b"old"), b"old"))
    assert ours.read_latest().blob == b"old"


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (header_of(b"another"), "its body is not the one its header describes"),
        (b"{", "its header can't be read"),
        (b"{}", "its header can't be read"),
        (b'{"stream":"\xff"}', "its header can't be read"),
        (b'{"x":' + b"[" * 100_000, "its header can't be read"),
    ],
)
def test_a_signed_file_that_contradicts_itself_is_refused(place, header, told):
    ours = store(place)
    ours.write(3, b"three", {})
    place.put(name_of(4), signed_by_hand(header, b"body"))
    assert ours.read_latest().blob == b"three"
    assert told in ours.refused[0]


def test_a_file_signed_with_an_unknown_key_is_refused(place):
    store(place, key=OTHER).write(1, b"", {})
    ours = store(place)
    assert ours.read_latest() is None
    assert key_id(OTHER) in ours.refused[0]


def test_a_file_that_claims_our_key_without_having_it_is_refused(place):
    store(place, key=OTHER).write(1, b"", {})
    theirs, ours = bytes.fromhex(key_id(OTHER)), bytes.fromhex(key_id(KEY))
    place.put(name_of(1), place.read(name_of(1)).replace(theirs, ours))
    assert store(place).read_latest() is None


def test_an_older_file_put_back_is_refused(place):
    ours = store(place)
    ours.write(3, b"old", {})
    assert ours.read_latest(seq_min=4) is None
    assert "older than 4" in ours.refused[0]
    assert ours.read_latest(seq_min=3).blob == b"old"
    place.rename(name_of(3), name_of(8))
    assert ours.read_latest(seq_min=4) is None
    assert "written as number 3" in ours.refused[0]


def test_old_keys_verify_and_the_new_one_signs(place):
    store(place, key=OTHER).write(1, b"old", {})
    ours = store(place, key=KEY, old=(OTHER,))
    assert ours.read_latest().blob == b"old"
    ours.write(2, b"new", {})
    assert store(place, key=KEY).read_latest().blob == b"new"
    assert store(place, key=OTHER).read_latest().blob == b"old"


def test_nothing_is_decoded_before_the_signature_is_verified(place, monkeypatch):
    store(place).write(2, b"ab", {})
    signed = place.read(name_of(2))
    place.put(name_of(2), signed[:-1] + bytes([signed[-1] ^ 1]))

    def never(*_args, **_kwargs):
        raise AssertionError("decoded an unverified header")

    monkeypatch.setattr(snapshots.msgspec.json, "decode", never)
    ours = store(place)
    assert ours.read_latest() is None
    assert "signature" in ours.refused[0]


def test_what_has_no_name_of_a_snapshot_is_neither_read_nor_removed(place):
    ours = store(place, kept_n=1)
    names = ["notes.txt", "snapshot-0000000000001.hr", "snapshot-000000000001.hr.bak"]
    ours.write(1, b"", {})
    for name in names:
        place.put(name, place.read(name_of(1)))
    place.remove(name_of(1))
    assert (ours.read_latest(), ours.refused) == (None, [])
    ours.write(2, b"", {})
    assert place.names() == sorted([*names, name_of(2)])


def test_bad_arguments_are_refused(place):
    with pytest.raises(BadSettings, match="snapshots_kept"):
        store(place, kept_n=0)
    for series in ("a/b", "..", ".hidden", "snapshot.key", "a" * 201, "shard 3"):
        with pytest.raises(BadSettings, match="the series of snapshots is"):
            store(place, series=series)
    with pytest.raises(BadSettings, match="number of a snapshot"):
        store(place).write(-1, b"", {})
    assert place.names() == []


def test_bodies_and_keys_are_in_no_text(place):
    ours = store(place)
    ours.write(1, b"private body", {})
    assert KEY.decode() not in repr(ours) + repr(ours._keys) + str(place.read(name_of(1)))
    assert "private" not in repr(ours.read_latest())


# ------------------------------------------------------------------------------ pruning


def test_only_the_newest_are_kept(place):
    ours = store(place, kept_n=2)
    for seq in range(5):
        ours.write(seq, b"", {})
    assert place.names() == [name_of(3), name_of(4)]
    assert ours.not_removed == []


def test_pruning_never_takes_a_higher_number(place):
    for seq in (100, 200):
        store(place, key=OTHER).write(seq, b"", {})
    ours = store(place, kept_n=1)
    for seq in (1, 2):
        ours.write(seq, b"%d" % seq, {})
    assert ours.read_latest().blob == b"2"
    assert place.names() == [name_of(2), name_of(100), name_of(200)]


def test_what_is_below_the_oldest_goes_whoever_wrote_it_and_when(place):
    ours = store(place, kept_n=5)
    for seq in (3, 7):
        ours.write(seq, b"old", {})
    ours.write(8, b"new", {}, oldest=8)
    assert place.names() == [name_of(8)]
    store(place, kept_n=5).write(5, b"late", {})
    place.put(".snapshot-abc.tmp", b"half")
    ours.write(9, b"new", {}, oldest=8)
    # Half-written, perhaps by one that lives: it goes where it is there once more.
    assert place.names() == [".snapshot-abc.tmp", name_of(8), name_of(9)]
    ours.write(10, b"new", {}, oldest=8)
    assert place.names() == [name_of(8), name_of(9), name_of(10)]
    # What was just written stays, also where a series goes on from further back.
    ours.write(4, b"back", {}, oldest=8)
    assert place.names() == [name_of(4), name_of(8), name_of(9), name_of(10)]


def test_one_below_the_oldest_that_cannot_be_removed_is_an_error(place, monkeypatch):
    def fails(name):
        raise PermissionError("not yours")

    ours = store(place)
    ours.write(1, b"old", {})
    monkeypatch.setattr(ours._folder, "remove", fails)
    with pytest.raises(OSError, match="not yours"):
        ours.write(2, b"new", {}, oldest=2)


def test_the_one_before_another_is_found(place):
    ours = store(place)
    for seq in (2, 5, 9):
        ours.write(seq, b"%d" % seq, {})
    assert ours.read_latest(before=9).blob == b"5"
    assert ours.read_latest(before=2) is None
    place.put(name_of(7), b"nothing of ours")
    assert ours.read_latest(before=9).blob == b"5"


def test_where_all_that_are_ours_stand_is_known(place):
    ours = store(place)
    for seq in (2, 5, 9):
        ours.write(seq, b"", {"events": seq})
    place.put(name_of(7), b"nothing of ours")
    assert ours.read_positions() == [{"events": seq} for seq in (2, 5, 9)]
    assert store(place, series="shard-3").read_positions() == []


def test_a_file_that_another_removed_first_does_not_matter(place, monkeypatch):
    ours = store(place, kept_n=1)
    ours.write(1, b"", {})
    listed = ours._folder.list_names

    def late():
        names = listed()
        for name in names:
            if name != name_of(2):
                place.remove(name)
        return names

    monkeypatch.setattr(ours._folder, "list_names", late)
    ours.write(2, b"two", {})
    assert ours.not_removed == []
    assert place.names() == [name_of(2)]


def test_a_newer_one_is_found_when_the_listed_ones_are_gone(place, monkeypatch):
    ours = store(place, kept_n=1)
    ours.write(1, b"one", {})
    read = ours._folder.read

    def overtaken(name):
        monkeypatch.undo()
        store(place, kept_n=1).write(2, b"two", {})
        return read(name)

    monkeypatch.setattr(ours._folder, "read", overtaken)
    assert ours.read_latest().blob == b"two"


# --------------------------------------------------------------------------- many at once


def test_a_left_over_is_removed_before_the_first_write_and_by_no_reader(place):
    store(place).write(1, b"one", {})
    place.put(".snapshot-abc.tmp", b"half")
    ours = store(place)
    assert ours.read_latest().blob == b"one"
    place.put(".snapshot-def.tmp", b"being written by another")
    assert ".snapshot-abc.tmp" in place.names()
    ours.write(2, b"two", {})
    assert place.names() == [".snapshot-def.tmp", name_of(1), name_of(2)]


def in_threads(calls):
    """Run them at once; raises what any of them raised."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def test_writers_of_the_same_number_never_leave_a_torn_file(place):
    blobs = [bytes([i]) * (1000 + i) for i in range(THREADS_N)]

    def written(blob):
        ours = store(place)
        for seq in range(ROUNDS_N):
            ours.write(seq, blob, {})

    def looked_at():
        ours, seen = store(place), []
        for _ in range(ROUNDS_N):
            found = ours.read_latest()
            seen += [found] if found else []
            assert [told for told in ours.refused if "signature" in told or "cut" in told] == []
        return seen

    calls = [lambda blob=blob: written(blob) for blob in blobs]
    seen = in_threads([*calls, looked_at])[-1]
    assert {found.blob for found in seen} <= set(blobs)
    assert store(place).read_latest().seq == ROUNDS_N - 1
    assert place.names() == [name_of(ROUNDS_N - n) for n in (3, 2, 1)]


def test_the_highest_number_wins_over_a_writer_that_is_behind(place):
    def written(start):
        ours = store(place, kept_n=1)
        for seq in range(start, start + ROUNDS_N):
            ours.write(seq, b"%d" % seq, {})
            found = store(place, kept_n=1).read_latest()
            # Nobody removes a number above its own, so there is always one.
            assert found.seq >= seq

    starts = [i * ROUNDS_N for i in range(THREADS_N)]
    in_threads([lambda start=start: written(start) for start in starts])
    last = THREADS_N * ROUNDS_N - 1
    assert store(place).read_latest().blob == b"%d" % last
