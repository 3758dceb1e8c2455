"""What can be measured of a design, the cheap first.

0 cycles, exactly. 1 synthesis with Yosys. 2 the clock rate: place and route on iCE40, ECP5 and
Gowin; by Liberty's delays for "asic". 3 energy with gate delays on the network's own activations,
for "asic". 4 accuracy of the network quantized to the design's width. `measure` runs in any
process.
"""

import errno
import hashlib
import json
import tempfile
import time
import traceback
from pathlib import Path

from golden.archive import write_whole
from hw.arithmetic import ARRAY_TREE, BOOTH_TREE
from hw.best import best_multiplier
from hw.cache import mapped
from hw.config import ArrayConfig
from hw.mapping import hand_made
from hw.synth import synthesize
from hw.tools import ToolError, cache_folder

from . import accelerator_levels, network_levels
from .effort import ACCURACY, CLOCK, ENERGY, SYNTHESIS, Effort
from .store import Measurement
from .task import Task, tools

LIKELY = {  # multipliers of which one was the smallest wherever all were tried
    "asic": (BOOTH_TREE, ARRAY_TREE),
    "ice40": ("rows",),
    "gowin": ("rows",),
}
LOG_LINES = 40
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MISSING = (": not installed;", ": not found;", "not on PATH", "cache cannot be made")
SIZES = ("luts", "carries", "flip_flops", "dsps", "block_rams", "area_um2", "sequential_area_um2")


def measure(task: Task) -> Measurement:
    """Make it. Whatever goes wrong with it becomes a failed measurement, with the end of the tools'
    logs. But what the machine lacks is raised, for nothing is wrong with the design: OSError for a
    full disk and for files, ImportError, and ToolError for missing tools and memory."""
    started = time.monotonic()
    result: dict[str, object]
    design = task.design
    with tempfile.TemporaryDirectory(prefix="adderforge-") as name:
        folder = Path(name)
        try:
            result = {"figures": _measures[task.level](task, folder)}
            if task.workload.accelerator:
                design = task.workload.requantized(design)
        except Exception as error:
            _raise_if_of_the_machine(error)
            result = {"reason": _reason(error, folder), "log": _logs(folder, error)}
    return Measurement(
        subject=task.subject,
        design=design.values,
        seconds=round(time.monotonic() - started, 2),
        **result,
    )


def _raise_if_of_the_machine(error: Exception) -> None:
    if getattr(error, "errno", None) in DISK_FULL or "no space left" in str(error):
        raise OSError(errno.ENOSPC, str(error)) from None
    if isinstance(error, MemoryError):
        raise ToolError(
            "a measurement needs more memory than there is; run it again, with fewer processes"
        ) from None
    is_missing = isinstance(error, ToolError) and any(words in str(error) for words in MISSING)
    if is_missing or isinstance(error, OSError | ImportError):
        raise error


def _reason(error: Exception, folder: Path) -> str:
    """One line; with its type where it is no error that AdderForge reports."""
    text = " ".join(str(error).split()).replace(f"{folder}/", "")
    known = isinstance(error, ToolError | ValueError)
    return text if known and text else f"{type(error).__name__}: {text}"


def _synthesis(task: Task, folder: Path) -> dict[str, float | str | None]:
    design, effort, chosen = task.design, task.effort, _chosen(task, folder)
    place = folder / "design"
    if task.workload.accelerator:
        made = accelerator_levels.synthesis(design, task.workload, effort, chosen, place)
        return made | {"made_of": chosen}
    if effort.target == "asic":
        report = mapped(design.array, effort.liberty, chosen)[0]
    else:
        report = synthesize(design.array, effort.target, place, chosen, effort.liberty)
    return {name: getattr(report, name) for name in SIZES} | {"made_of": report.multiplier}


def _clock(task: Task, folder: Path) -> dict[str, float | None]:
    from hw.delays import find_delays
    from hw.liberty import read_library
    from hw.netlist import read_netlist
    from hw.route import route

    design, effort, chosen = task.design, task.effort, _chosen(task, folder)
    if task.workload.accelerator:
        return accelerator_levels.clock(design, task.workload, effort, chosen)
    if effort.target == "asic":
        _, netlist = mapped(design.array, effort.liberty, chosen)
        delays = find_delays(read_netlist(netlist, read_library(effort.liberty)))
        return {"fmax_mhz": round(1000 / delays.longest_path_ns, 2), "fmax_spread_mhz": None}
    seeds = range(1, effort.seeds + 1)
    report = route(design.array, effort.target, folder / "route", seeds, multiplier=chosen)
    return {"fmax_mhz": report.median_mhz, "fmax_spread_mhz": report.spread_mhz}


def _energy(task: Task, folder: Path) -> dict[str, float | None]:
    chosen = _chosen(task, folder)
    if task.workload.accelerator:
        place = folder / "simulation"
        return accelerator_levels.energy(task.design, task.workload, task.effort, chosen, place)
    return network_levels.energy(task.design, task.workload, task.effort, chosen)


def _accuracy(task: Task, folder: Path) -> dict[str, float | None]:
    return network_levels.accuracy(task.design, task.workload, task.effort.test_images)


_measures = {SYNTHESIS: _synthesis, CLOCK: _clock, ENERGY: _energy, ACCURACY: _accuracy}


def _chosen(task: Task, folder: Path) -> str:
    design = task.design
    return design.multiplier or chosen_multiplier(design.array, task.effort, folder)


def chosen_multiplier(config: ArrayConfig, effort: Effort, folder: Path) -> str:
    """Of LIKELY, that whose single PE is smallest, which holds for all arrays of such PEs; from
    the user's cache where it is there. Other targets try all, as `best_multiplier` does."""
    if config.pe != "mac" or hand_made(config):
        return "none"
    single = ArrayConfig(**config.model_dump() | {"rows": 1, "cols": 1})
    of = [single.model_dump(), effort.place, tools(SYNTHESIS, effort.target)]
    name = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder() / "multipliers" / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_whole(path, _smallest(single, effort, folder / "candidates").encode())
    return path.read_text(encoding="utf-8")


def _smallest(single: ArrayConfig, effort: Effort, folder: Path) -> str:
    names = LIKELY.get(effort.target)
    if names is None:
        return best_multiplier(single, effort.target, folder, effort.liberty)
    if len(names) == 1:
        return names[0]

    def size(name: str) -> float:
        report = synthesize(single, effort.target, folder / name, name, effort.liberty)
        return report.area_um2 or report.luts

    return min(names, key=size)


def _logs(folder: Path, error: Exception) -> str:
    """The last lines of every log that a tool left, and where the error came from."""
    texts = []
    for path in sorted(folder.rglob("*.log")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        texts.append("\n".join([f"== {path.relative_to(folder)}", *lines[-LOG_LINES:]]))
    return "\n".join([*texts, *traceback.format_exception(error)])
