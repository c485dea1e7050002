"""What can go wrong with a stack, each as one sentence for the developer who started it."""


class StackError(Exception):
    """The stack cannot start, or cannot go on; the text says why."""
