"""The Dockerfile is small and closed, what it copies is there, and the lock fits the project."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from docker.dockerfiles import faults, parsed

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
LOCKS = ("requirements.txt", "requirements-s3.txt")

# What is put in whose place, and a part of the sentence that must follow.
MUTATIONS = {
    "base of no version": ("python:3.11.14-slim-bookworm", "python:3.11-slim", "not pinned"),
    "latest base": ("python:3.11.14-slim-bookworm", "python:latest", "not pinned"),
    "root": ("USER 10001:10001", "USER 0:0", "is root"),
    "user by name": ("USER 10001:10001", "USER headrace", "not two numbers"),
    "no user": ("USER 10001:10001", "", "runs as root"),
    "no check": ("HEALTHCHECK", "#", "no HEALTHCHECK"),
    "check through a shell": ('CMD ["python", "-c"', "CMD python -c", "HEALTHCHECK goes through"),
    "add": ("COPY src", "ADD src", "ADD is not an instruction"),
    "whole folder": ("COPY src /build/src", "COPY . /build", "copies the whole folder"),
    "apt in the last stage": ("&& install -d", "&& apt-get update && install -d", "uses apt-get"),
    "pip in the last stage": ("&& install -d", "&& pip list && install -d", "uses pip"),
    "secret in an argument": ("ARG REVISION=unknown", "ARG API_TOKEN", "API_TOKEN is seen by all"),
    "secret in a variable": (
        "HOME=/state",
        "HEADRACE_SNAPSHOT_KEY=0123",
        "HEADRACE_SNAPSHOT_KEY is seen by all",
    ),
    "nobody's copy": ("COPY --from=build --chown=0:0", "COPY --from=build", "whose it is"),
    "no digests": ("--require-hashes ", "", "no digest"),
    "shell form": ('ENTRYPOINT ["headrace"]', "ENTRYPOINT headrace", "through a shell"),
    "no label": ("org.opencontainers.image.licenses", "licence", "no label"),
    "open folder": ("&& install -d", "&& chmod -R 777 /state && install -d", "gives rights away"),
    "pipe": ("&& install -d", "&& ls | sort && install -d", "has a pipe"),
}


def test_dockerfile_has_no_fault() -> None:
    assert faults(TEXT) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_fault_put_into_the_dockerfile_is_found(name: str) -> None:
    found, put, told = MUTATIONS[name]
    assert found in TEXT
    assert any(told in fault for fault in faults(TEXT.replace(found, put))), faults(
        TEXT.replace(found, put)
    )


def test_what_runs_has_one_stage_before_it_and_everything_from_there() -> None:
    _, stages = parsed(TEXT)
    assert [stage.name for stage in stages] == ["build", ""]
    assert all(copy.startswith("--from=build ") for copy in stages[-1].texts("COPY"))


def sources() -> list[str]:
    """What is copied from the repository."""
    _, stages = parsed(TEXT)
    copied = []
    for copy in stages[0].texts("COPY"):
        *names, _ = copy.split()
        for name in names:
            is_lock = "${LOCK}" in name
            copied += [name.replace("${LOCK}", lock) for lock in LOCKS] if is_lock else [name]
    return copied


def test_every_copied_file_is_there_and_let_through() -> None:
    ignored = (ROOT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    assert sorted(sources()) == sorted(kept)
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
