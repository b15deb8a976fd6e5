"""Runs one command and kills it when whoever started this is gone, however that came about.

`python guard.py COMMAND...` prints the command's process id, then waits for it and ends with its
exit code. Each byte on standard input is the number of a signal to pass on; the end of standard
input, which the kernel brings about when the starter dies, is a kill.
"""

import os
import signal
import subprocess
import sys
import threading


def pass_signals_on(child: subprocess.Popen[bytes]) -> None:
    while received := os.read(0, 1):
        child.send_signal(received[0])
    # A stopped child takes no other signal than this one.
    child.send_signal(signal.SIGKILL)


def main(command: list[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    print(child.pid, flush=True)
    threading.Thread(target=pass_signals_on, args=(child,), daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # A thread may still wait for standard input.
    os._exit(code % 256)
