"""The error of a stack: one sentence for the developer who started it."""


class StackError(Exception):
    """The stack cannot start, or cannot go on; the text says why."""
