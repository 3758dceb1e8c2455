"""From a program to a board's bitstream."""

import json
from collections.abc import Iterable
from pathlib import Path

from ..fabric import FABRICS
from ..fpga_figures import fpga_figures
from ..link.protocol import Frame
from ..link.questions import check_image
from ..link.uart import BITS
from ..program import Program
from ..synth import Progress
from ..tools import ToolError
from ..yowasp import for_each, yosys, yowasp
from . import vivado
from .fit import too_few, utilization
from .kinds import Toolchain
from .output_registers import use_output_registers
from .plan import BAUD, Plan, check_board, write_design
from .report import BoardReport
from .timing import fmax
from .top import TOP


def build_board(
    program: Program,
    board: str,
    folder: Path,
    seeds: Iterable[int] = (1,),
    baud: int = BAUD,
    clock_mhz: float | None = None,
    progress: Progress = lambda what, done, count: None,
) -> BoardReport:
    """Synthesize, place, route and pack; the bitstream is that of the seed with the highest clock
    rate. For a board whose vendor's tools are needed the script for them is written instead, and
    the design is synthesized for an estimate. Everything is left in `folder`. clock_mhz: of the
    accelerator, by default the board's. progress: called with (what, steps done, steps).

    ValueError as of `check_board`, and for images that are too long for the line; ToolError when a
    tool is missing or fails, when the design does not fit, and when it does not route at its clock.
    """
    plan = check_board(board, tuple(seeds), baud, clock_mhz)
    check_image(program)
    folder.mkdir(parents=True, exist_ok=True)
    write_design(plan, program, folder)
    packet = len(Frame(number=0, kind=0).encode()) + program.image_bytes
    made = _bitstream if plan.kind.toolchain else _script
    return BoardReport(
        board=board,
        clock_mhz=plan.clock_mhz,
        cycles=program.interval,
        line_images_per_second=round(baud / (BITS * packet), 1),
        **made(plan, folder, progress),
    )


def _bitstream(plan: Plan, folder: Path, progress: Progress) -> dict:
    """The report's fields about it."""
    chain, steps = plan.kind.toolchain, len(plan.seeds) + 2
    progress("synthesis", 0, steps)
    yosys((folder / f"{TOP}.ys").read_text(encoding="utf-8"), folder, TOP)
    if chain.output_registers:
        _use_output_registers(folder / f"{TOP}.json")
    progress("place and route", 1, steps)
    reports = for_each(
        plan.seeds,
        lambda seed: _route(plan, folder, seed),
        lambda seed, done, _: progress(f"seed {seed} is routed", 1 + done, steps),
    )
    rates = {seed: fmax(report, chain.multiplier_ns) for seed, report in reports.items()}
    best = max(rates, key=rates.__getitem__)
    if chain.times and rates[best] < plan.clock_mhz:
        raise ToolError(
            f"{plan.kind.title} is to run at {plan.clock_mhz:g} MHz, but the accelerator was "
            f"routed at {rates[best]:.1f} MHz at most; try other seeds, a smaller array or "
            "another clock rate"
        )
    _call(chain.pack, _words(plan, chain.pack_arguments, best), folder, "pack")
    progress("packed", steps, steps)
    used = reports[best]["utilization"]
    return {
        "seeds": plan.seeds,
        "fmax_mhz": tuple(rates.values()) if chain.times else None,
        "resources": {n: (used[n]["used"], used[n]["available"]) for n in plan.kind.resources},
        "bitstream": chain.bitstream.format(top=TOP),
    }


def _use_output_registers(netlist: Path) -> None:
    modules = json.loads(netlist.read_text(encoding="utf-8"))
    use_output_registers(modules["modules"][TOP])
    netlist.write_text(json.dumps(modules), encoding="utf-8")


def _script(plan: Plan, folder: Path, progress: Progress) -> dict:
    """The report's fields about what Vivado is given; the resources are Yosys' estimate."""
    progress("Verilog", 0, 2)
    yosys(vivado.VERILOG.format(top=TOP), folder, "verilog")
    text = vivado.script(plan.kind.title, plan.kind.device, plan.clock_mhz)
    (folder / vivado.SCRIPT).write_text(text, encoding="utf-8")
    progress("estimate", 1, 2)
    yosys(vivado.ESTIMATE.format(top=TOP), folder, "estimate")
    counts = json.loads((folder / "stat.json").read_text(encoding="utf-8"))["design"]
    used = fpga_figures(FABRICS[plan.kind.target], folder / "netlist.json", counts, TOP)
    used["block_rams"] -= counts["num_cells_by_type"].get("RAMB18E1", 0) // 2  # halves of 36 kbit
    resources = {name: (used[name], most) for name, most in plan.kind.resources.items()}
    _check_resources(plan, resources)
    progress("estimate", 2, 2)
    return {
        "seeds": (),
        "fmax_mhz": None,
        "resources": resources,
        "estimated": True,
        "script": vivado.SCRIPT,
    }


def _check_resources(plan: Plan, resources: dict[str, tuple[int, int]]) -> None:
    """ToolError when one is not enough."""
    if why := too_few(resources):
        raise ToolError(f"{plan.kind.title} must hold the accelerator, but {why}")


def _words(plan: Plan, arguments: str, seed: int) -> list[str]:
    chain: Toolchain = plan.kind.toolchain
    names = {"top": TOP, "seed": seed}
    files = {
        "routed": chain.routed.format(**names),
        "bitstream": chain.bitstream.format(**names),
    }
    of_board = {"device": plan.kind.device, "options": plan.kind.options}
    return arguments.format(**names, **files, **of_board).split()


def _route(plan: Plan, folder: Path, seed: int) -> dict:
    """nextpnr's report; the netlist that it placed and routed goes to `routed-<seed>.json`."""
    chain, name = plan.kind.toolchain, f"route-{seed}"
    words = _words(plan, chain.place_arguments, seed)
    words += ["--seed", str(seed), "--report", f"report-{seed}.json", "--timing-allow-fail"]
    if "--write" not in words:
        words += ["--write", f"routed-{seed}.json"]
    if plan.clock:
        words += ["--freq", f"{plan.clock_mhz:g}"]
    try:
        _call(chain.place, words, folder, name)
    except ToolError:
        counts = utilization(folder / f"{name}.log")
        _check_resources(plan, {n: counts[n] for n in plan.kind.resources if n in counts})
        raise
    return json.loads((folder / f"report-{seed}.json").read_text(encoding="utf-8"))


def _call(command: str, arguments: list[str], folder: Path, name: str) -> None:
    yowasp(command, arguments, folder, folder / f"{name}.log")
