"""The user's cache folder, and mapped netlists in it: what was made once is not made again.

An entry's name is a digest of all that it follows from. Entries appear whole or not at all, so an
interrupted run leaves none behind. The folder may be removed at any time.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from .best import synthesize_best
from .choices import BUILT_IN_LIBRARY
from .config import ArrayConfig
from .liberty import Liberty, liberty_files
from .liberty_text import read_text
from .synth import Progress, SynthReport
from .tools import ToolError, cache_folder, tool_versions

NETLIST, REPORT = "netlist.json", "report.json"
_KEPT = (NETLIST, "stat.json", "modules.json", "synth.log", "synth.ys")


def mapped(
    config: ArrayConfig,
    liberty: Liberty = BUILT_IN_LIBRARY,
    multiplier: str | None = None,
    progress: Progress | None = None,
    clock_mhz: float | None = None,
) -> tuple[SynthReport, Path]:
    """The array mapped to a cell library, as `synthesize_best` does it, and its flat netlist; from
    the cache where it is there. multiplier: by default the best. clock_mhz: by default none, but
    the least area. Errors as there."""

    def make(folder: Path) -> None:
        arguments = {"multiplier": multiplier, "progress": progress}
        report = synthesize_best(config, "asic", folder, liberty, clock_mhz, **arguments)
        (folder / REPORT).write_text(json.dumps(asdict(report)), encoding="utf-8")

    parts = (config.model_dump_json(), str(multiplier), str(clock_mhz))
    folder = kept(parts, liberty, (*_KEPT, REPORT), make)
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    return SynthReport(**report), folder / NETLIST


def kept(
    parts: Sequence[str],
    liberty: Liberty | None,
    files: Sequence[str],
    make: Callable[[Path], None],
) -> Path:
    """The folder with these files, which `make` leaves in a folder that it makes, unless that
    was done before for the same parts, libraries, tools and code. What a tool that failed read and
    wrote stays beside it, in `failed-…`."""
    folder = cache_folder() / "netlists" / _digest(parts, liberty)
    if not (folder / files[-1]).exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            made = Path(place) / "work"
            try:
                make(made)
            except ToolError as error:
                raise _kept_log(error, made, folder) from None
            _keep(files, made, Path(place) / "entry", folder)
    return folder


def _kept_log(error: ToolError, made: Path, folder: Path) -> ToolError:
    """The error, which names a file in `made`, whose folder goes away, in the place that it has
    now."""
    failed = folder.with_name(f"failed-{folder.name}")
    if made.exists():
        shutil.rmtree(failed, ignore_errors=True)
        made.rename(failed)
    return ToolError(str(error).replace(str(made), str(failed)))


def _keep(files: Sequence[str], made: Path, entry: Path, folder: Path) -> None:
    entry.mkdir()
    for name in files:
        (made / name).replace(entry / name)
    try:
        entry.rename(folder)
    except OSError:
        if not (folder / files[-1]).exists():  # else another process was first
            raise


def _digest(parts: Sequence[str], liberty: Liberty | None) -> str:
    """Of what is wanted, the libraries, the tools, and the code that makes the hardware."""
    sources = sorted(Path(__file__).parent.rglob("*.[pv]*"))
    parts = [*parts, json.dumps(tool_versions())]
    for path in liberty_files(liberty) if liberty else ():
        parts += [read_text(path), path.name]
    parts += [path.read_text(encoding="utf-8") for path in sources if path.suffix in (".py", ".v")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
