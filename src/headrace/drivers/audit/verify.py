"""Whether an audit log is whole: each chain by itself, its ends, and the records beside it.

A chain that was written anew from some entry on is whole by itself. That shows where its hash was
kept elsewhere (`heads`), where the other chain of the log names it, or where the records of the run
are still there and say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import chain as chain_links
from itertools import dropwhile
from pathlib import Path

import msgspec

from ...adapters.chain import NOTHING, Link, check_links, encode_entry, files_of, names_in, rest_of
from ...adapters.jsonl import open_input
from ...adapters.sealing import Sealer, load_sealer
from ...bridges.folder import PLACES
from ...errors import BadInput
from ...messages import ForAnnotators
from ..files.folder import RunFolder, is_running
from ..files.sealed import opened_of
from .acts import DECIDED, FOLDER
from .entries import Entry, NextOffsets, entry_of
from .records import RunRecords
from .summary import Summary

DIFFERENCES_MAX = 3

_REQUESTS = msgspec.json.Decoder(ForAnnotators)


@dataclass(slots=True)
class ChainFound:
    """One chain: its entries from `first_n` to before `next_n`, and the hash of the last one."""

    name: str
    first_n: int = 0
    next_n: int = 0
    head: str = NOTHING


@dataclass(slots=True)
class Verified:
    """The result, in sentences: `faults` that must not be, `notes` that one should know.

    `compared` names what the log was compared with, `summary` counts its entries.
    """

    chains: list[ChainFound] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    summary: Summary = field(default_factory=Summary)

    @property
    def is_whole(self) -> bool:
        return not self.faults


def chains_at(path: Path) -> dict[str, list[Path]]:
    """Return the files of each chain at a path: the folder of a run, that of a log, or one file.

    Raises `BadInput` where there is none.
    """
    if path.is_file():
        return {path.name[:-13]: [path]}
    folder = log_folder(path)
    chains = {name: files_of(folder, name) for name in names_in(folder)}
    if not chains:
        raise BadInput(
            f"{path} holds no audit log; audit.is_kept = true in the settings of a run makes one"
        )
    return chains


def log_folder(path: Path) -> Path:
    """Return the folder of the log at a path: that in a run's folder, or the path itself."""
    return path / FOLDER if (path / FOLDER).is_dir() else path


def verify_log(path: Path, heads: Sequence[str] = ()) -> Verified:
    """Verify the log at a path, and compare it with the records of the run if they are there.

    `heads` are hashes that were kept elsewhere. Raises `BadInput` where there is no log.
    """
    verified = Verified()
    wanted = dict.fromkeys(head.lower() for head in heads)
    anchors: dict[int, tuple[str, str]] = {}
    # The acts come first in the alphabet, and name entries of the other chain.
    for name, paths in sorted(chains_at(path).items()):
        _verify_chain(verified, name, paths, wanted, anchors)
    if path.is_dir() and verified.is_whole:
        _check_end(verified, anchors)
    for head in wanted:
        verified.faults.append(
            f"no entry has the hash {head}, which was kept: the log was cut before it, or written "
            "anew"
        )
    if path.is_dir() and (path / "journal").exists() and verified.is_whole:
        _compare_run(verified, path)
    return verified


def _verify_chain(
    found: Verified,
    name: str,
    paths: list[Path],
    wanted: dict[str, None],
    anchors: dict[int, tuple[str, str]],
) -> None:
    """Verify one chain by itself; remove the hashes that it has from `wanted`.

    `anchors` gets the hashes that the acts name, with where, by the number of decided entries.
    """
    chain = ChainFound(name)
    removed: list[tuple[int, str]] = [(0, NOTHING)]
    first: Link | None = None
    places = NextOffsets()
    for link in check_links(paths):
        if link.fault:
            n = link.entry.get("n", chain.next_n)
            found.faults.append(f"{name}, entry {n} ({link.place}): {link.fault}")
            break
        entry = link.entry
        if first is None:
            first = link
            chain.first_n = entry["n"]
        chain.next_n, chain.head = entry["n"] + 1, link.hash
        wanted.pop(link.hash, None)
        if entry["what"] == "removed":
            removed.append((entry.get("until_n", -1), entry.get("until", "")))
        if name == DECIDED:
            _check_anchor(found, anchors.pop(chain.next_n, None), link)
            if fault := places.check_entry(entry):
                found.faults.append(f"{name}, entry {entry['n']} ({link.place}): {fault}")
        elif isinstance(entry.get("decided_n"), int):
            anchors[entry["decided_n"]] = (str(entry.get("decided")), link.place)
        found.summary.add(entry)
    else:
        if rest_n := rest_of(paths[-1]):
            found.notes.append(
                f"{paths[-1].name} ends with {rest_n} bytes that are no entry: a kill leaves that, "
                "and whoever writes next takes it away"
            )
    if first is not None and chain.first_n and (chain.first_n, first.entry["prev"]) not in removed:
        found.faults.append(
            f"{name} begins with entry {chain.first_n}, and no entry says that those before were "
            "removed"
        )
    elif chain.first_n:
        found.notes.append(f"{name} begins with entry {chain.first_n}; older files were removed")
    found.chains.append(chain)


def _check_anchor(found: Verified, anchor: tuple[str, str] | None, link: Link) -> None:
    if anchor is not None and anchor[0] != link.hash:
        found.faults.append(
            f"{DECIDED}, entry {link.entry['n']} ({link.place}): its hash is another than the one "
            f"that {anchor[1]} names; one of the chains was written anew"
        )


def _check_end(found: Verified, anchors: dict[int, tuple[str, str]]) -> None:
    """Add a fault if the acts name an entry beyond the end of the other chain."""
    end_n = _decided_in(found).next_n
    beyond = {n: place for n, (_, place) in anchors.items() if n > end_n}
    if beyond:
        n, place = max(beyond.items())
        ends = f"ends with entry {end_n - 1}" if end_n else "is gone"
        found.faults.append(f"{DECIDED} {ends}, and {place} names entry {n - 1}: it was cut")


def _decided_in(found: Verified) -> ChainFound:
    return next((one for one in found.chains if one.name == DECIDED), ChainFound(DECIDED))


# --------------------------------------------------------------------------- beside the records


def _compare_run(found: Verified, state: Path) -> None:
    """Compare the entries of a run with its journal, decisions, answers and requests."""
    is_live = is_running(state)
    chain = _decided_in(found)
    with ExitStack() as opened:
        try:
            folder = opened.enter_context(closing(RunFolder(state, is_shared=True)))
            records = RunRecords(state, folder.journal, folder.settings)
            sealer = load_sealer(folder.settings.sealing, folder.settings.stream)
            opened.callback(records.close)
            fault, more_n = _first_difference(state, records, chain)
        except (BadInput, msgspec.MsgspecError) as error:
            found.notes.append(f"not compared with the records of the run: {error}")
            return
    if fault:
        found.faults.append(fault)
        return
    found.compared.append("the journal, the answers and the decisions of the run")
    if records.begun_n:
        found.notes.append("compared from the latest erasure on: it took the records of before")
    if more_n and is_live:
        found.notes.append(f"the run goes on, and is {more_n} entries ahead of its log")
    elif more_n:
        found.faults.append(
            f"{DECIDED} ends before the records of the run do: {more_n} entries are missing. A run "
            "that was killed leaves that until it is started again; else the end was cut"
        )
    if not records.begun_n:
        _compare_requests(found, state, chain, sealer, is_live=is_live)


def _first_difference(state: Path, records: RunRecords, chain: ChainFound) -> tuple[str, int]:
    """Say where entry and record first differ, "" if nowhere; and how many more entries follow."""
    expected, links_in_force = _read_expected(records), _in_force(state, chain.next_n)
    ahead = next(expected, None)
    if ahead is not None:
        expected = chain_links([ahead], expected)
    if begun_n := records.begun_n:
        # What an erasure has taken from the records is not compared.
        links_in_force = dropwhile(lambda one: one.entry["record"][0] < begun_n, links_in_force)
    if chain.first_n:
        # Older files were removed: what they held is not compared.
        first = next(links_in_force, None)
        start = [] if first is None else first.entry["record"]
        expected = dropwhile(lambda one: list(one[0]) < start, expected)
        links_in_force = chain_links([] if first is None else [first], links_in_force)
    for link in links_in_force:
        place, entry = next(expected, ((-1, -1), {}))
        if not entry:
            return f"{_name_link(link)} is about something that the records do not have", 0
        own = {"n": link.entry["n"], "prev": link.entry["prev"], "record": list(place)}
        if encode_entry(entry | own) != encode_entry(link.entry):
            return (
                f"{_name_link(link)} is not what the records say: "
                f"{_describe_difference(link.entry, entry)}",
                0,
            )
    return "", sum(1 for _ in expected)


def _read_expected(records: RunRecords) -> Iterator[tuple[tuple[int, int], Entry]]:
    """Yield each entry that the log must have, with its place."""
    for group in records.read_groups():
        for i, entry in enumerate(group):
            yield (records.groups_n - 1, i), entry


def _in_force(state: Path, until_n: int) -> Iterator[Link]:
    """Yield the entries about records, but for those whose records a loss of power took."""
    paths = files_of(state / FOLDER, DECIDED)
    lost = [
        (link.entry["n"], link.entry["record"][0])
        for link in check_links(paths)
        if link.entry.get("what") == "records_lost"
    ]
    for link in check_links(paths):
        n = link.entry["n"]
        if n >= until_n:
            return
        if "record" not in link.entry or link.entry["what"] == "records_lost":
            continue
        if not any(n < lost_n and link.entry["record"][0] >= from_n for lost_n, from_n in lost):
            yield link


def _name_link(link: Link) -> str:
    return f"{DECIDED}, entry {link.entry['n']} ({link.place})"


def _describe_difference(entry: Entry, expected: Entry) -> str:
    """Say where an entry differs from the one expected."""
    names = sorted({*entry, *expected} - {"n", "prev", "record"})
    differing = [
        f"{name} is {entry.get(name)!r}, must be {expected.get(name)!r}"
        for name in names
        if encode_entry({"": entry.get(name)}) != encode_entry({"": expected.get(name)})
    ]
    return "; ".join(differing[:DIFFERENCES_MAX]) or "it stands in another place"


def _compare_requests(
    found: Verified, state: Path, chain: ChainFound, sealer: Sealer | None, *, is_live: bool
) -> None:
    """Check that the log has every request that was handed to people, in order, and no other."""
    try:
        path = Path(msgspec.json.decode((state / PLACES).read_bytes())["requests"])
        handed = _read_handed(path, sealer)
    except (OSError, BadInput, msgspec.MsgspecError, KeyError) as error:
        found.notes.append(f"not compared with the requests: {error}")
        return
    if chain.first_n:
        found.notes.append("not compared with the requests: older files of the log were removed")
        return
    for link in _in_force(state, chain.next_n):
        if link.entry["what"] not in ("asked", "rescored", "withdrawn"):
            continue
        entry = next(handed, None)
        if entry is None or entry["request_id"] != link.entry["request_id"]:
            content = "ends" if entry is None else f"has request {entry['request_id']}"
            found.faults.append(
                f"{_name_link(link)} is about request {link.entry['request_id']}, "
                f"and {path} {content} in its place"
            )
            return
    more_n = sum(1 for _ in handed)
    if more_n and not is_live:
        found.faults.append(f"{path} has {more_n} requests more than the log")
        return
    found.compared.append("the file of requests")


def _read_handed(path: Path, sealer: Sealer | None) -> Iterator[Entry]:
    with open_input(path) as file:
        whole = (line[:-1] for line in file if line.endswith(b"\n"))
        for line in opened_of(sealer, whole, "requests", 0):
            yield entry_of(_REQUESTS.decode(line))
