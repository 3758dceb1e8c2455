"""The user's cache folder, and mapped netlists in it: what was made once is not made again.

An entry's name is a digest of all that it follows from. Entries appear whole or not at all, so an
interrupted run leaves none behind. The folder may be removed at any time.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from .config import ArrayConfig
from .liberty import Liberty, liberty_files
from .liberty_text import read_text
from .synth import BUILT_IN_LIBRARY, Progress, SynthReport, synthesize_best
from .tools import tool_versions

NETLIST, REPORT = "netlist.json", "report.json"
_KEPT = (NETLIST, "stat.json", "modules.json", "synth.log", "synth.ys")


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/adderforge, which is made if it is not there."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "adderforge"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def mapped(
    config: ArrayConfig,
    liberty: Liberty = BUILT_IN_LIBRARY,
    multiplier: str | None = None,
    progress: Progress | None = None,
) -> tuple[SynthReport, Path]:
    """The array mapped to a cell library, as `synthesize_best` does it, and its flat netlist; from
    the cache where it is there. multiplier: by default the best. Errors as there."""
    folder = cache_folder() / "netlists" / _digest(config, liberty, multiplier)
    if not (folder / REPORT).exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            made = Path(place) / "work"
            arguments = {"multiplier": multiplier, "progress": progress}
            report = synthesize_best(config, "asic", made, liberty, **arguments)
            _keep(report, made, Path(place) / "entry", folder)
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    return SynthReport(**report), folder / NETLIST


def _keep(report: SynthReport, made: Path, entry: Path, folder: Path) -> None:
    entry.mkdir()
    for name in _KEPT:
        (made / name).replace(entry / name)
    (entry / REPORT).write_text(json.dumps(asdict(report)), encoding="utf-8")
    try:
        entry.rename(folder)
    except OSError:
        if not (folder / REPORT).exists():  # else another process was first
            raise


def _digest(config: ArrayConfig, liberty: Liberty, multiplier: str | None) -> str:
    """Of the configuration, the libraries, the tools, and the code that makes the hardware."""
    sources = sorted(Path(__file__).parent.rglob("*.[pv]*"))
    parts = [config.model_dump_json(), str(multiplier), json.dumps(tool_versions())]
    for path in liberty_files(liberty):
        parts += [read_text(path), path.name]
    parts += [path.read_text(encoding="utf-8") for path in sources if path.suffix in (".py", ".v")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
