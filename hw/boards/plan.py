"""Where a design and its board become files for the tools."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ..choices import accelerator_structure
from ..fabric import ANY_WORD_AT_A_COLLISION
from ..link.device import SerialAccelerator
from ..link.uart import divisor_of
from ..link.weight_store import WeightStore, fits_spram
from ..mapping import hand_made
from ..program import Program
from ..tools import ToolError, installed
from ..weight_pe import WeightStationaryPE
from . import vivado
from .clocks import Clock, find_clock
from .kinds import BOARDS, BoardKind
from .top import TOP, OnBoard

BAUD = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be built. clock: None for the board's own. divisor: clock cycles of a bit."""

    board: str
    kind: BoardKind
    clock: Clock | None
    divisor: int
    baud: int
    seeds: tuple[int, ...]

    @property
    def clock_mhz(self) -> float:
        return self.clock.mhz if self.clock else self.kind.clock_mhz


def check_board(
    board: str,
    seeds: tuple[int, ...] = (1,),
    baud: int = BAUD,
    clock_mhz: float | None = None,
) -> Plan:
    """What is to be built. ValueError for an unknown board, no seed, a clock that its PLL or a baud
    rate that its clock cannot make; ToolError when a tool is missing."""
    if board not in BOARDS:
        raise ValueError(f"board must be one of {', '.join(BOARDS)}, not {board!r}")
    if not seeds:
        raise ValueError("seeds must be at least one, not none")
    kind = BOARDS[board]
    packages = (kind.toolchain.package,) if kind.toolchain else ()
    for package in ("amaranth-boards", *packages):
        if not installed(package):
            raise ToolError(f"{package}: not installed; run 'pip install adderforge[board]'")
    wanted = kind.usual_mhz if clock_mhz is None else clock_mhz
    own = wanted == kind.clock_mhz
    clock = None if own else find_clock(kind.target, kind.clock_mhz, wanted)
    return Plan(
        board=board,
        kind=kind,
        clock=clock,
        divisor=divisor_of(clock.mhz if clock else kind.clock_mhz, baud),
        baud=baud,
        seeds=seeds,
    )


def write_design(plan: Plan, program: Program, folder: Path) -> None:
    """Amaranth's files of a build: the design as `<TOP>.il`, its pins, and, for boards with a
    toolchain, Yosys' script."""
    platform = _platform(plan.kind)
    store = WeightStore(program, spram=True) if loads_weights(plan.kind, program) else None
    structure = accelerator_structure(program.config.array, plan.kind.target)
    device = SerialAccelerator(
        program, plan.divisor, store, lambda config: WeightStationaryPE(config, structure)
    )
    top = OnBoard(device, plan.clock)
    made = platform.build(
        top,
        name=TOP,
        do_build=False,
        script_after_read=ANY_WORD_AT_A_COLLISION,
        synth_opts=_synth_options(plan.kind, program),
    )
    for file, content in made.files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / file).write_bytes(data)


def loads_weights(kind: BoardKind, program: Program) -> bool:
    """Whether the board gets its weights over the line."""
    return kind.spram and fits_spram(program)


def _platform(kind: BoardKind) -> object:
    module, name = kind.platform
    platform = getattr(import_module(f"amaranth_boards.{module}"), name)
    if not kind.toolchain:  # Amaranth's files for Vivado need a Yosys of the system
        platform = type(name, (platform,), {"file_templates": vivado.FILES})
    return platform()


def _synth_options(kind: BoardKind, program: Program) -> str:
    blocks = kind.target == "ice40" and products_in_blocks(program, kind.multipliers)
    return "-dsp" if blocks else ""


def products_in_blocks(program: Program, multipliers: int) -> bool:
    """Whether the requantizer's products may be in an iCE40's multiplier blocks, which Yosys takes
    on demand: there are enough, and no PE has products of which it could make blocks, too."""
    array = program.config.array
    parts = array.cols * -(-array.acc_width // 16)
    alone = array.pe != "mac" or hand_made(array) is not None
    return program.config.requantize == "multiply" and alone and parts <= multipliers
