"""One log stream for all services: each line begins with the name of its service, coloured on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from backup_scheduler.masking import masked

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan")


class LogStream:
    """Prints whole lines, so that the services' lines do not mix, and masks secrets in them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._width = max(map(len, ["devstack", *names]))
        self._styles = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}

    @property
    def coloured(self) -> bool:
        """Whether the stream shows colours: on a terminal, unless NO_COLOR is set."""
        return self._console.color_system is not None

    def say(self, sentence: str, style: str = "bold") -> None:
        """Print a line of devstack itself."""
        self._print("devstack", Text(masked(sentence), style=style), "bold")

    def line(self, name: str, line: str) -> None:
        """Print a line of a service."""
        self._print(name, Text.from_ansi(masked(line)), self._styles.get(name, ""))

    def _print(self, name: str, text: Text, style: str) -> None:
        self._console.print(Text.assemble((f"{name:>{self._width}} │ ", style), text))
