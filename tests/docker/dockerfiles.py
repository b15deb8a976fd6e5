"""A Dockerfile as its stages and instructions, and what is wrong with it.

A checker of the dozen rules that matter for a small, closed image; it knows no shell. `hadolint` or
`docker build --check` see more, where they can be had.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|(?<!_)KEY\b|_KEY\b", re.IGNORECASE)
INSTALLS = re.compile(r"\b(apt-get|apt|apk|dnf|yum|pip3?|curl|wget|gcc|make)\b(?!\*)")
# Libraries by digest, or our own wheel and nothing with it.
UNMIXED = re.compile(r"--require-hashes|--no-deps")
PINNED = re.compile(r"^[\w./-]+:\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$")
KNOWN = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN",
    "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip
LABELS = ("title", "description", "version", "revision", "licenses")


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined; `line` is where it begins, from 1."""

    line: int
    name: str
    text: str


@dataclass
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def texts(self, name: str) -> list[str]:
        """What follows each instruction of this name."""
        return [one.text for one in self.instructions if one.name == name]


def parsed(text: str) -> tuple[list[Instruction], list[Stage]]:
    """What stands before the first stage, and the stages; comments are left out."""
    before: list[Instruction] = []
    stages: list[Stage] = []
    for one in _instructions(text):
        if one.name == "FROM":
            words = [word for word in one.text.split() if not word.startswith("--")]
            stages.append(Stage(words[0], words[2] if len(words) == 3 else ""))
        elif stages:
            stages[-1].instructions.append(one)
        else:
            before.append(one)
    return before, stages


def _instructions(text: str) -> list[Instruction]:
    found, joined, start = [], "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not joined and not line.strip()):
            continue
        start = start or number
        joined += line.removesuffix("\\").strip() + " "
        if not line.endswith("\\"):
            name, _, rest = joined.strip().partition(" ")
            found.append(Instruction(start, name.upper(), rest.strip()))
            joined, start = "", 0
    assert not joined, "the last line goes on and there is none"
    return found


def faults(text: str) -> list[str]:
    """What is wrong with a Dockerfile, in sentences; none if it is as an image of ours must be."""
    before, stages = parsed(text)
    if not stages:
        return ["there is no stage"]
    every = [*before, *(one for stage in stages for one in stage.instructions)]
    return [
        *_faults_of_bases(before, stages),
        *_faults_of_instructions(every),
        *_faults_of_last(stages[-1]),
        *([] if len(stages) > 1 else ["it has one stage; what builds must not be in what runs"]),
    ]


def _faults_of_bases(before: list[Instruction], stages: list[Stage]) -> list[str]:
    given = dict(one.text.split("=", 1) for one in before if one.name == "ARG" and "=" in one.text)
    names: set[str] = set()
    found = []
    for stage in stages:
        base = re.sub(r"\$\{?(\w+)\}?", lambda one: given.get(one[1], ""), stage.base)
        if base not in names and not PINNED.match(base):
            found.append(f"the base {base!r} is not pinned to a version with three numbers")
        names.add(stage.name)
    return found


def _faults_of_instructions(every: list[Instruction]) -> list[str]:
    found = []
    for one in every:
        where = f"line {one.line}: {one.name}"
        if one.name not in KNOWN:
            found.append(f"{where} is not an instruction we use")
        if one.name in ("ENV", "ARG"):
            names = re.findall(r"(?:^|\s)(\w+)(?==|\s|$)", re.sub(r"\"[^\"]*\"", "", one.text))
            found += [f"{where} {name} is seen by all" for name in names if SECRET.search(name)]
        if one.name == "RUN" and re.search(r"\bsudo\b|\bchmod\s+(-R\s+)?0?777\b", one.text):
            found.append(f"{where} gives rights away")
        for command in one.text.split("&&") if one.name == "RUN" else ():
            if re.search(r"\bpip\b.* install ", command) and not UNMIXED.search(command):
                found.append(f"{where} installs what has no digest")
        if one.name == "RUN" and "|" in re.sub(r"\|\|", "", one.text):
            found.append(f"{where} has a pipe: the failure of its first part is not seen")
        if one.name in ("CMD", "ENTRYPOINT") and not _is_exec(one.text):
            found.append(f"{where} goes through a shell: signals do not arrive")
        if one.name == "COPY" and re.search(r"(^|\s)\.\s", one.text):
            found.append(f"{where} copies the whole folder")
        if one.name == "WORKDIR" and not one.text.startswith("/"):
            found.append(f"{where} is not an absolute path")
    return found


def _is_exec(text: str) -> bool:
    try:
        parts = json.loads(text)
    except ValueError:
        return False
    return isinstance(parts, list) and all(isinstance(part, str) for part in parts)


def _faults_of_last(stage: Stage) -> list[str]:
    found = []
    users = stage.texts("USER")
    if not users:
        found.append("there is no USER: it runs as root")
    for user in users[-1:]:
        uid, _, gid = user.partition(":")
        if not (uid.isdigit() and gid.isdigit()):
            found.append(f"USER {user} is not two numbers: a cluster can't tell that it isn't root")
        elif int(uid) < 1000 or int(gid) < 1000:
            found.append(f"USER {user} is root or one of the system's")
    for run in stage.texts("RUN"):
        found += [f"the last stage uses {tool}" for tool in INSTALLS.findall(run)]
    for copy in stage.texts("COPY"):
        if "--chown=" not in copy:
            found.append(f"COPY {copy} does not say whose it is")
    checks = stage.texts("HEALTHCHECK")
    if not checks or checks[-1].upper() == "NONE":
        found.append("there is no HEALTHCHECK")
    found += [
        "HEALTHCHECK goes through a shell" for c in checks if not _is_exec(c.split("CMD ")[-1])
    ]
    labels = " ".join(stage.texts("LABEL"))
    found += [
        f"there is no label org.opencontainers.image.{name}"
        for name in LABELS
        if f"org.opencontainers.image.{name}=" not in labels
    ]
    if not stage.texts("ENTRYPOINT"):
        found.append("there is no ENTRYPOINT")
    return found
