"""Runs one command in a process group of its own, and kills all of it when its starter is gone.

`python guard.py COMMAND...` prints the group's id, then waits for the end of standard input, which
the kernel brings about when the starter dies.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress

if __name__ == "__main__":
    child = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    try:
        # The starter may be gone before it heard of the group.
        print(child.pid, flush=True)
        os.read(0, 1)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
