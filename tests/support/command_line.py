"""backupctl in this process."""

from collections.abc import Callable

from typer.testing import CliRunner, Result

from backupctl.commands import app

Ctl = Callable[..., Result]


def backupctl(uri: str) -> Ctl:
    """Return a function that runs backupctl with some words, against a broker."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["--broker", uri, *words])

    return run
