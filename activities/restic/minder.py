"""Runs restic and ends it when the worker is gone: `python minder.py LIFELINE PID_TO SECONDS COMMAND...`.

The worker holds the other end of the pipe LIFELINE. The kernel closes that end when the worker ends in any way. Linux
has a signal for this (pdeathsig), but drops it for programs with file capabilities, the usual way to let restic read
all files without being root. The minder writes restic's process id to the pipe PID_TO.

It imports nothing from this project, so it starts in a few milliseconds.
"""

import os
import select
import signal
import sys


def mind(lifeline: int, pid_to: int, seconds: float, command: list[str]) -> int:
    """Run a command to its end. Return its exit code, or 128 plus its signal as shells do.

    When the lifeline breaks, send it SIGINT, on which restic removes its lock, and after `seconds` SIGKILL.
    """
    for descriptor in (lifeline, pid_to):
        os.set_inheritable(descriptor, False)
    # The worker sends SIGINT to the whole process group. A handler: the command would inherit an ignored signal.
    signal.signal(signal.SIGINT, lambda *_: None)
    pid = os.posix_spawnp(command[0], command, os.environ)
    process = os.pidfd_open(pid)
    os.write(pid_to, b"%d" % pid)
    os.close(pid_to)
    ended, broken = select.poll(), select.poll()
    for poll in (ended, broken):
        poll.register(process, select.POLLIN)
    broken.register(lifeline, select.POLLIN)
    broken.poll()
    if not ended.poll(0):
        signal.pidfd_send_signal(process, signal.SIGINT)
        if not ended.poll(seconds * 1000):
            signal.pidfd_send_signal(process, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.exit(mind(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
