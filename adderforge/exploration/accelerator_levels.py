"""Levels 1 to 3 of whole accelerators: for FPGAs with the serial link of `adderforge build`, for
cell libraries without memories. Energy is that of `adderforge energy --accelerator`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hw.accelerator_netlist import mapped_accelerator
from hw.boards.plan import products_in_blocks
from hw.choices import accelerator_structure
from hw.fabric import ANY_WORD_AT_A_COLLISION, FABRICS
from hw.fpga_figures import fpga_figures
from hw.link.verilog import TOP, serial_rtlil
from hw.program import Program
from hw.synth import SynthReport
from hw.yowasp import yosys

from .accelerators import compiled, in_spram, store_of
from .design import Design
from .effort import Effort
from .models import dataset
from .workloads import Workload

if TYPE_CHECKING:
    import numpy as np

    from hw.recording import Recording

    from ..contenders import Effort as Counts

DIVISOR = 12  # clock cycles of a bit on the line, of no consequence for size
MULTIPLIERS = 8  # of the UP5K
COMMANDS = {  # of Yosys, as `adderforge build` gives them
    "ice40": "synth_ice40",
    "ecp5": "synth_ecp5",
    "xilinx7": "synth_xilinx -flatten -family xc7 -noiopad -noclkbuf",
    "gowin": "synth_gowin -noiopads",
}
_HOW = {"activity": "gate-delay", "update": lambda *_: None}


def synthesis(
    design: Design, workload: Workload, effort: Effort, multiplier: str, folder: Path
) -> dict[str, float | str | None]:
    """Sizes. multiplier: of the PEs in a cell library; on FPGAs products that are not made by hand
    are made of multiplier blocks."""
    program = _program(design, workload)
    if effort.target == "asic":
        report = _mapped(program, effort, multiplier)
        areas = (report.area_um2, report.sequential_area_um2)
        return dict(zip(("area_um2", "sequential_area_um2"), areas, strict=True))
    folder.mkdir()
    structure = accelerator_structure(program.config.array, effort.target)
    text = serial_rtlil(program, DIVISOR, store_of(program, effort), structure)
    (folder / "design.il").write_text(text, encoding="utf-8")
    yosys(_script(program, effort), folder, "synth")
    stat = json.loads((folder / "stat.json").read_text(encoding="utf-8"))["design"]
    return fpga_figures(FABRICS[effort.target], folder / "netlist.json", stat, TOP)


def _script(program: Program, effort: Effort) -> str:
    command = COMMANDS[effort.target]
    if effort.ultraplus and products_in_blocks(program, MULTIPLIERS):
        command += " -dsp"
    return f"""\
read_rtlil design.il
{ANY_WORD_AT_A_COLLISION}
{command} -top {TOP}
tee -q -o stat.json stat -json
write_json netlist.json
"""


def clock(
    design: Design, workload: Workload, effort: Effort, multiplier: str
) -> dict[str, float | None]:
    """By the delays of a cell library."""
    report = _mapped(_program(design, workload), effort, multiplier)
    return {"fmax_mhz": report.fmax_mhz, "fmax_spread_mhz": None}


def _program(design: Design, workload: Workload) -> Program:
    """ValueError with an external memory, to whose bus nothing is joined here."""
    if design.around.external != "none":
        raise ValueError(
            "accelerators with an external memory are counted, not measured; fidelity must be 0, "
            "and 'adderforge ip' makes them"
        )
    return compiled(workload.model(design), design)


def _mapped(program: Program, effort: Effort, multiplier: str) -> SynthReport:
    return mapped_accelerator(program, effort.liberty, _wanted(multiplier)).synthesis


def _wanted(multiplier: str) -> str | None:
    return None if multiplier == "none" else multiplier


def energy(
    design: Design, workload: Workload, effort: Effort, multiplier: str, folder: Path
) -> dict[str, float | None]:
    """With memories and gate delays, images back to back; a value that differs from the Verilog's
    is an error. pj_per_op: of an operation, on a UP5K at its board's clock, with all that the FPGA
    draws; pj_per_cycle: there, of the design alone."""
    from golden import reference
    from sim import events

    from ..contenders import Effort as Counts

    model, program = workload.model(design), _program(design, workload)
    counts = Counts(images=effort.images, batches=effort.batches, cycles=effort.cycles)
    images = dataset(workload.data_set, workload.data_dir, model.classes).test_images
    codes = reference.encode(model, images[: counts.images * counts.batches])
    events.prepare()
    if effort.ultraplus:
        spram = in_spram(program, effort)
        found, recording = _energy_in_up5k(program, codes, counts, spram, folder)
    else:
        wanted = _wanted(multiplier)
        found, recording = _energy_in_cells(program, codes, counts, effort.liberty, wanted, folder)
    if recording.mismatches:
        raise ValueError(f"{recording.mismatches} of {recording.compared} values are wrong")
    return found


def _energy_in_cells(
    program: Program,
    codes: "np.ndarray",
    counts: "Counts",
    liberty: Path,
    multiplier: str | None,
    folder: Path,
) -> "tuple[dict[str, float | None], Recording]":
    from hw.delays import Surroundings
    from sim.gate_run import CLOCK_MHZ

    from ..accelerator_energy import map_accelerator, measure_accelerator

    mapped = map_accelerator(program, liberty, multiplier, Surroundings())
    how = {"clock_mhz": CLOCK_MHZ, "pj_per_bit": None, **_HOW}
    run = measure_accelerator(mapped, codes, counts, folder=folder, **how)
    figures = run.figures()
    return {name: figures[name] for name in ("pj_per_op", "glitch_share")}, run.recording


def _energy_in_up5k(
    program: Program, codes: "np.ndarray", counts: "Counts", spram: bool, folder: Path
) -> "tuple[dict[str, float | None], Recording]":
    from hw.up5k import CLOCK_MHZ

    from ..up5k_energy import measure_up5k

    if program.config.array.pe == "mac":
        raise ValueError(
            "energy in an iCE40 UP5K is known of adder and xnor PEs alone, since products of mac "
            "PEs are made of multiplier blocks, which are not simulated; leave out the energy"
        )
    run = measure_up5k(program, codes, counts, spram=spram, folder=folder, **_HOW)
    whole_uj = run.design_uj + run.base_uj(CLOCK_MHZ, pll=False)
    figures = {
        "pj_per_op": whole_uj * 1e6 / program.useful_terms,
        "pj_per_cycle": run.design_uj * 1e6 / program.interval,
        "glitch_share": run.glitch_share,
    }
    return figures, run.recording
