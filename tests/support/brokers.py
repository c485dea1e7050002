"""RabbitMQ of a running stack, operated as its administrator does."""

import subprocess

import psutil

from devstack.running import StackInfo


def rabbitmqctl(stack: StackInfo, *args: str) -> str:
    """Run a command on the stack's broker, on any node of a cluster; return its output."""
    pid = next(pid for name, pid in stack.pids.items() if name.startswith("rabbitmq"))
    command = ["rabbitmqctl", "-q", *args]
    environ = psutil.Process(pid).environ()
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=60).stdout
