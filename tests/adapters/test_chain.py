"""A chain tells every change of what it holds, and a kill leaves none that would look like one."""

from __future__ import annotations

import os
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.adapters.chain import (
    NOTHING,
    HashChain,
    check_links,
    encode_entry,
    files_of,
    hash_of,
    names_in,
    read_entries,
    rest_of,
)
from headrace.errors import BadInput, BadSettings

SMALL = {"file_bytes_max": 4_096, "files_max": 1_000}


def written(folder: Path, n: int = 40, **options) -> str:
    """A chain with so many entries; its head."""
    with closing(HashChain(folder, "acts", **SMALL | options)) as chain:
        for i in range(n):
            chain.append([{"what": "answered", "request_id": f"r{i}", "label": "yes", "at": i / 3}])
        return chain.head


def lines_in(folder: Path) -> list[tuple[Path, bytes]]:
    return [
        (path, line)
        for path in files_of(folder, "acts")
        for line in path.read_bytes().splitlines(keepends=True)
    ]


def write(folder: Path, lines: list[tuple[Path, bytes]]) -> None:
    for path in files_of(folder, "acts"):
        path.write_bytes(b"".join(line for where, line in lines if where == path))


def is_whole_up_to(folder: Path, head: str) -> bool:
    """What `headrace audit verify --head` asks of a chain."""
    found = list(check_links(files_of(folder, "acts")))
    starts_whole = bool(found) and found[0].entry.get("n") == 0
    is_whole = starts_whole and not any(link.fault for link in found)
    return is_whole and any(link.hash == head for link in found)


def test_each_entry_holds_the_hash_of_the_one_before_across_files(tmp_path: Path) -> None:
    head = written(tmp_path)
    assert len(files_of(tmp_path, "acts")) > 1
    assert names_in(tmp_path) == ["acts"]
    before = NOTHING
    for n, (_, line) in enumerate(lines_in(tmp_path)):
        entry = next(e for i, e in enumerate(read_entries(tmp_path, "acts")) if i == n)
        assert (entry["n"], entry["prev"]) == (n, before)
        assert encode_entry(entry) + b"\n" == line
        before = hash_of(line[:-1])
    assert before == head
    assert is_whole_up_to(tmp_path, head)


def test_it_does_not_matter_how_entries_are_written(tmp_path: Path) -> None:
    entries = [{"what": "answered", "request_id": f"r{i}"} for i in range(100)]
    for name, cuts in (("one", [0, 100]), ("many", [0, 1, 50, 51, 100])):
        for start, stop in pairwise(cuts):
            with closing(HashChain(tmp_path / name, "acts", **SMALL)) as chain:
                chain.append(entries[start:stop])
    one, many = ([line for _, line in lines_in(tmp_path / name)] for name in ("one", "many"))
    assert one == many
    names = [[path.name for path in files_of(tmp_path / name, "acts")] for name in ("one", "many")]
    assert names[0] == names[1]


TAMPERINGS = ("edit", "delete", "insert", "swap", "cut_the_start", "cut_the_end", "respell")


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_whatever_is_changed_before_a_kept_hash_is_found(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("chain")
    head = written(folder)
    lines = lines_in(folder)
    i = data.draw(st.integers(0, len(lines) - 1), label="line")
    path, line = lines[i]
    match data.draw(st.sampled_from(TAMPERINGS)):
        case "edit":
            at = data.draw(st.integers(0, len(line) - 2), label="byte")
            byte = data.draw(st.integers(0, 255).filter(lambda b: b not in (line[at], 10)))
            lines[i] = (path, line[:at] + bytes([byte]) + line[at + 1 :])
        case "delete":
            del lines[i]
        case "insert":
            other = data.draw(st.integers(0, len(lines) - 1), label="which")
            lines.insert(i, (path, lines[other][1]))
        case "swap":
            j = data.draw(st.integers(0, len(lines) - 1).filter(lambda j: lines[j][1] != line))
            lines[i], lines[j] = (path, lines[j][1]), (lines[j][0], line)
        case "cut_the_start":
            lines = lines[i + 1 :]
        case "cut_the_end":
            lines = lines[:i]
        case "respell":
            lines[i] = (path, line.replace(b":", b": ", 1))
    write(folder, lines)
    assert not is_whole_up_to(folder, head)


@given(st.integers(0, 39), st.booleans())
@example(39, True)
@settings(max_examples=20, deadline=None)
def test_a_chain_written_anew_from_any_entry_on_lacks_the_kept_hash(
    tmp_path_factory, i: int, keeps_label: bool
) -> None:
    folder, forged = tmp_path_factory.mktemp("chain"), tmp_path_factory.mktemp("forged")
    head = written(folder)
    with closing(HashChain(forged, "acts", **SMALL)) as chain:
        for n in range(40):
            label = "yes" if n != i or keeps_label else "no"
            at = n / 3 + (n == i and keeps_label)
            entry = {"what": "answered", "request_id": f"r{n}", "label": label, "at": at}
            chain.append([entry])
    assert not any(link.fault for link in check_links(files_of(forged, "acts")))
    assert not is_whole_up_to(forged, head)


def test_what_came_after_the_kept_hash_may_be_more(tmp_path: Path) -> None:
    head = written(tmp_path)
    written(tmp_path, n=3)
    assert is_whole_up_to(tmp_path, head)


def test_the_first_broken_entry_is_named(tmp_path: Path) -> None:
    written(tmp_path, n=5)
    [path] = files_of(tmp_path, "acts")
    path.write_bytes(path.read_bytes().replace(b'"r2"', b'"r9"'))
    *good, broken = check_links([path])
    assert [link.entry["n"] for link in good] == [0, 1, 2, 3]
    assert (broken.entry["n"], broken.place) == (4, "acts-000001.jsonl, line 5")
    assert broken.fault == "it was not written after entry 3 as that stands here"
    with pytest.raises(BadInput, match="line 5"):
        list(read_entries(tmp_path, "acts"))


@pytest.mark.parametrize("cut_n", [1, 2, 40, 130])
@pytest.mark.parametrize("mends", [False, True])
def test_a_line_that_a_kill_cut_short_is_taken_away(tmp_path, cut_n: int, mends: bool) -> None:
    written(tmp_path, n=3)
    [path] = files_of(tmp_path, "acts")
    before = path.read_bytes()
    last = before.splitlines(keepends=True)[-1]
    assert cut_n <= len(last)
    os.truncate(path, len(before) - cut_n)
    assert rest_of(path) == len(last) - cut_n
    assert not any(link.fault for link in check_links([path]))
    with closing(HashChain(tmp_path, "acts", mends=mends, at=7.0)) as chain:
        rest_n = len(last) - cut_n
        mended = {"what": "mended", "at": 7.0, "bytes_n": rest_n, "n": 3}
        assert chain.n == 4 if mends and rest_n else 3
        if mends and rest_n:
            assert chain.last == mended | {"prev": hash_of(before.splitlines()[-2])}
        else:
            chain.append([{"what": "answered", "request_id": "r2", "label": "yes", "at": 2 / 3}])
            assert path.read_bytes() == before
    assert not any(link.fault for link in check_links([path]))


def test_a_line_cut_short_in_a_file_that_another_follows_is_a_fault(tmp_path: Path) -> None:
    written(tmp_path)
    first = files_of(tmp_path, "acts")[0]
    os.truncate(first, first.stat().st_size - 10)
    *_, last = check_links(files_of(tmp_path, "acts"))
    assert "are no entry" in last.fault


def test_the_oldest_file_is_removed_and_an_entry_says_so(tmp_path: Path) -> None:
    head = written(tmp_path, n=200, files_max=3)
    found = list(check_links(files_of(tmp_path, "acts")))
    assert len(files_of(tmp_path, "acts")) == 3
    assert not any(link.fault for link in found)
    assert found[-1].hash == head
    removed = [link.entry for link in found if link.entry["what"] == "removed"]
    first = found[0].entry
    assert (removed[-1]["until_n"], removed[-1]["until"]) == (first["n"], first["prev"])
    assert first["n"] > 0


def test_killed_between_a_new_file_and_its_first_line_it_still_says_what_is_removed(
    tmp_path: Path,
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        written(folder, n=33, files_max=2)
    assert len(files_of(killed, "acts")) == 2
    entries = [{"what": "answered", "request_id": f"x{i}"} for i in range(60)]
    for folder in (whole, killed):
        for entry in entries:
            with closing(HashChain(folder, "acts", **SMALL | {"files_max": 2})) as chain:
                if folder == killed and chain._size >= SMALL["file_bytes_max"]:
                    chain._open_file(chain._number + 1)  # and dies here
                    chain.close()
                    with closing(HashChain(folder, "acts", **SMALL | {"files_max": 2})) as again:
                        again.append([entry])
                    continue
                chain.append([entry])
    assert [line for _, line in lines_in(whole)] == [line for _, line in lines_in(killed)]


def test_who_may_not_wait_is_refused(tmp_path: Path) -> None:
    with (
        closing(HashChain(tmp_path, "decided")),
        pytest.raises(BadSettings, match="written by another process"),
    ):
        HashChain(tmp_path, "decided", waits=False)


def test_a_chain_whose_last_entry_was_changed_by_hand_is_not_gone_on_with(tmp_path: Path) -> None:
    written(tmp_path, n=2)
    [path] = files_of(tmp_path, "acts")
    path.write_bytes(path.read_bytes()[:-2] + b"\n")
    with pytest.raises(BadInput, match="is damaged"):
        HashChain(tmp_path, "acts")
