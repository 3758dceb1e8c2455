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
from .liberty_text import read_text
from .synth import BUILT_IN_LIBRARY, SynthReport, best_multiplier, synthesize
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
    config: ArrayConfig, liberty: Path = BUILT_IN_LIBRARY, multiplier: str | None = None
) -> tuple[SynthReport, Path]:
    """The array mapped to a cell library, as `synthesize` does it, and its flat netlist; from the
    cache where it is there. multiplier: `best_multiplier`'s choice by default. Errors as there."""
    folder = cache_folder() / "netlists" / _digest(config, liberty, multiplier)
    if not (folder / REPORT).exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            _make(config, liberty, multiplier, Path(place), folder)
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    return SynthReport(**report), folder / NETLIST


def _make(
    config: ArrayConfig, liberty: Path, multiplier: str | None, place: Path, folder: Path
) -> None:
    chosen = multiplier or best_multiplier(config, "asic", place / "candidates", liberty)
    report = synthesize(config, "asic", place / "work", chosen, liberty)
    (place / "entry").mkdir()
    for name in _KEPT:
        (place / "work" / name).replace(place / "entry" / name)
    (place / "entry" / REPORT).write_text(json.dumps(asdict(report)), encoding="utf-8")
    try:
        (place / "entry").rename(folder)
    except OSError:
        if not (folder / REPORT).exists():  # else another process was first
            raise


def _digest(config: ArrayConfig, liberty: Path, multiplier: str | None) -> str:
    """Of the configuration, the library, the tools, and the code that makes the hardware."""
    sources = sorted(Path(__file__).parent.rglob("*.[pv]*"))
    parts = [config.model_dump_json(), str(multiplier), json.dumps(tool_versions())]
    parts += [read_text(liberty), liberty.name]
    parts += [path.read_text(encoding="utf-8") for path in sources if path.suffix in (".py", ".v")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
