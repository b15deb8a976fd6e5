"""The image is small and closed, what it copies is there, and the lock fits the project.

What is wrong in any Dockerfile, `hadolint` says: test_linters.py.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
LOCKS = ("requirements.txt", "requirements-s3.txt")
# One instruction a line, without comments; the stages begin at FROM.
JOINED = re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE).replace("\\\n", " ")
BEFORE, BUILD, LAST = re.split(r"^FROM ", JOINED, flags=re.MULTILINE)


def said(stage: str, instruction: str) -> list[str]:
    """What follows each instruction of this name."""
    return re.findall(rf"^{instruction} +(.+)$", stage, re.MULTILINE)


def test_both_stages_are_of_one_pinned_base() -> None:
    assert BUILD.startswith("${PYTHON} AS build\n") and LAST.startswith("${PYTHON}\n")
    assert re.fullmatch(r"ARG PYTHON=python:\d+\.\d+\.\d+-slim-\w+\s*", BEFORE)


def test_what_runs_is_a_numbered_user_with_a_check_and_no_shell() -> None:
    assert said(LAST, "USER") == ["10001:10001"]
    assert said(LAST, "ENTRYPOINT") == ['["headrace"]']
    (check,) = said(LAST, "HEALTHCHECK")
    assert "/healthz" in check


def test_what_runs_takes_all_from_the_first_stage_and_installs_nothing() -> None:
    copied = said(LAST, "COPY")
    assert copied and all(copy.startswith("--from=build --chown=0:0 ") for copy in copied)
    runs = " ".join(said(LAST, "RUN"))
    assert not re.search(r"\b(apt-get|apt|curl|wget|gcc|make)\b|\bpip3?\b(?!\*)|777", runs)


def test_what_is_installed_has_a_digest_or_is_our_own_wheel() -> None:
    commands = [part for run in said(BUILD, "RUN") for part in run.split("&&")]
    installs = [part for part in commands if re.search(r"\bpip\b.* install ", part)]
    assert len(installs) == 2
    assert all("--require-hashes" in one or "--no-deps" in one for one in installs)


def test_no_secret_is_given_when_it_is_built() -> None:
    given = " ".join(said(JOINED, "ENV") + said(JOINED, "ARG"))
    assert not re.search(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|KEY", given, re.IGNORECASE)


def sources() -> list[str]:
    """What is copied from the repository."""
    names = [name for copy in said(BUILD, "COPY") for name in copy.split()[:-1]]
    return [name.replace("${LOCK}", lock) for name in names for lock in LOCKS]


def test_every_copied_file_is_there_and_let_through() -> None:
    ignored = (ROOT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    assert set(sources()) == set(kept)
    assert [name for name in kept if not (ROOT / name).exists()] == []
    assert fnmatch.filter(kept, "*.env") == []


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_every_dependency_at_a_version_it_allows(lock: str) -> None:
    text = (ROOT / "docker" / lock).read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["kafka"]]
    for one in map(Requirement, wanted):
        assert one.specifier.contains(Version(locked[one.name])), one
    entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert [entry.split(" ")[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_version_of_the_image_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"ARG VERSION={project['version']}\n" in TEXT
