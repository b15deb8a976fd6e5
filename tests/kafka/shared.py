"""One broker for all processes of a test run: the first that needs it has it started, and it ends
when the last of them is gone, also if they were killed.

Each user holds a shared lock on one file. A keeper process runs the broker and waits for that lock
to be free, which the kernel sees to however a user ends; there is no count to go wrong.
"""

import fcntl
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kafka import jars
from kafka.broker import Address, Broker


@dataclass
class Share:
    """A share in the broker of a folder, from `join` until `leave`."""

    address: Address
    pid: int
    _lock: IO[str]

    def leave(self) -> None:
        self._lock.close()


def join(folder: Path) -> Share:
    """Reach the broker of this folder, started if there is none.

    Raises `BrokerMissing` if none can be had.
    """
    jars.prepare()
    with jars.locked(folder / "broker-start.lock"):
        users = (folder / "broker-users.lock").open("a")
        fcntl.flock(users, fcntl.LOCK_SH)
        state = folder / "broker.json"
        if not state.exists():
            _start_keeper(folder)
        told = json.loads(state.read_text())
    return Share(Address(told["servers"], told["is_kafka"]), told["pid"], users)


def _start_keeper(folder: Path) -> None:
    log = folder / "broker-keeper.log"
    with log.open("ab") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "kafka.shared", str(folder)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
        assert keeper.stdout is not None
        # A line once the broker is up; nothing if the keeper fails.
        is_up = bool(keeper.stdout.readline())
        keeper.stdout.close()
    if not is_up:
        raise AssertionError(f"no broker: {log.read_text()}")
    # It outlives this process on purpose.
    keeper.returncode = 0


def keep(folder: Path) -> None:
    """Run the broker of this folder until nobody uses it."""
    state = folder / "broker.json"
    lock, own = folder / "broker-users.lock", folder / "broker"
    with lock.open("a") as users, Broker(folder=own) as broker:
        told = {"servers": broker.servers, "is_kafka": broker.is_kafka, "pid": broker.pid}
        part = state.with_suffix(".part")
        part.write_text(json.dumps(told))
        part.rename(state)
        print("up", flush=True)
        # Whoever joins from here on waits for this lock, then finds no state and starts anew.
        fcntl.flock(users, fcntl.LOCK_EX)
        state.unlink()


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
