"""Runs restic and ends it when the worker is gone: `python minder.py LIFELINE PID_TO SECONDS COMMAND...`.

The worker holds the other end of the pipe LIFELINE. The kernel closes it when the worker ends, however it ends. Linux
has a signal for that too (pdeathsig), but forgets it for programs with file capabilities, which is the usual way to let
restic read all files without being root. PID_TO is a pipe that is told restic's process id.

It imports nothing of this project, so that it starts in a few milliseconds.
"""

import os
import select
import signal
import sys


def mind(lifeline: int, pid_to: int, seconds: float, command: list[str]) -> int:
    """Run a command to its end and return its exit code, or 128 and its signal, as shells do.

    When the lifeline breaks it gets SIGINT, upon which restic removes its lock, and after `seconds` SIGKILL.
    """
    for descriptor in (lifeline, pid_to):
        os.set_inheritable(descriptor, False)
    # The worker ends the whole process group with SIGINT. A handler, because what is ignored stays so in the command.
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
