"""A routed netlist asked over its serial pins about one image, beside the design's Verilog and the
integer reference."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from golden import reference
from golden.spec import QuantizedModel
from hw.boards.clocks import WAIT
from hw.boards.plan import Plan, loads_weights
from hw.boards.top import TOP as BOARD
from hw.link.description import for_any_fabric
from hw.link.protocol import ANSWER, CLASSIFY, DESCRIBE, LOAD, RESULT, Frame, FrameReader
from hw.link.questions import chunk_payloads, image_payload
from hw.link.verilog import TOP as SERIAL
from hw.link.verilog import serial_verilog
from hw.link.weight_store import WeightStore
from hw.program import Program

from ..serial_run import Conversation, ask
from .netlist import Netlist, read_netlist
from .writer import routed_verilog

FABRICS = ("ice40", "ecp5")
BOOT = 2 * WAIT  # cycles until the first question, which come first after power-on
BENCH = "module bench(input clk, input rx, output tx);\n    {};\nendmodule\n"


@dataclass(frozen=True, kw_only=True)
class RoutedCheck:
    """What the netlist of a seed said of one image. image_class, cycles: None where it gave no
    answer; rtl_class, rtl_cycles: those of the design's Verilog; expected: the class by the integer
    reference. same_answers: all answers, the other questions' too, are those of the design's
    Verilog, byte for byte. cells: of the netlist. simulated_cycles: of its clock."""

    seed: int
    image_class: int | None
    cycles: int | None
    rtl_class: int | None
    rtl_cycles: int | None
    expected: int
    same_answers: bool
    cells: int
    simulated_cycles: int

    @property
    def passed(self) -> bool:
        return self.same_answers and self.image_class == self.expected

    @property
    def line(self) -> str:
        netlist = f"the routed netlist of seed {self.seed} ({self.cells:,} cells)"
        if self.passed:
            return (
                f"{netlist} gave class {self.image_class} after {self.cycles:,} cycles, as do RTL "
                f"and integer reference; {self.simulated_cycles:,} cycles simulated"
            )
        return (
            f"{netlist} must answer as RTL and integer reference do: it gave "
            f"{_said(self.image_class, self.cycles)}, the RTL "
            f"{_said(self.rtl_class, self.rtl_cycles)}, the reference class {self.expected}"
        )

    def to_json(self) -> dict:
        return asdict(self) | {"passed": self.passed}


def check_routed(
    plan: Plan, program: Program, model: QuantizedModel, image: np.ndarray, folder: Path, seed: int
) -> RoutedCheck:
    """The check of what `build_board` left in `folder` for a seed. image: floats, of the model's
    in_shape. A PLL passes the board's clock on, so that the accelerator's rate is all there is.
    Files go into `check` there. ValueError for a cell, or a setting of one, that is not
    understood; ToolError when Verilator is missing or fails."""
    (codes,) = reference.encode(model, image[None])
    loads = loads_weights(plan.kind, program)
    questions = _questions(program, codes, loads)
    netlist = read_netlist(folder / f"routed-{seed}.json")
    plain = for_any_fabric(program)
    store = WeightStore(plain) if loads else None
    designs = {
        "routed": {"routed.v": routed_verilog(netlist, BOARD), "bench.v": _board_bench(netlist)},
        "rtl": {"rtl.v": serial_verilog(plain, plan.divisor, store), "bench.v": _rtl_bench()},
    }
    routed, rtl = (
        ask(folder / "check" / name, sources, questions, program, plan.divisor, BOOT)
        for name, sources in designs.items()
    )
    (image_class, cycles), (rtl_class, rtl_cycles) = map(_result, (routed, rtl))
    return RoutedCheck(
        seed=seed,
        image_class=image_class,
        cycles=cycles,
        rtl_class=rtl_class,
        rtl_cycles=rtl_cycles,
        expected=int(reference.classify(model, image[None])[0]),
        same_answers=routed.answers == rtl.answers,
        cells=len(netlist.cells),
        simulated_cycles=routed.cycles,
    )


def _questions(program: Program, codes: np.ndarray, loads: bool) -> list[Frame]:
    asked = [(DESCRIBE, b"")]
    asked += [(LOAD, payload) for payload in chunk_payloads(program)] if loads else []
    asked.append((CLASSIFY, image_payload(program, codes)))
    return [
        Frame(number=number % 256, kind=kind, payload=payload)
        for number, (kind, payload) in enumerate(asked)
    ]


def _board_bench(netlist: Netlist) -> str:
    (clock,) = (name for name in netlist.ports if name.startswith("clk"))
    pins = {clock: "clk", "uart_0__rx__io": "rx", "uart_0__tx__io": "tx", "led_0__io": ""}
    return BENCH.format(f"{BOARD} board({', '.join(f'.{p}({n})' for p, n in pins.items())})")


def _rtl_bench() -> str:
    return BENCH.format(f"{SERIAL} device(.clk(clk), .rst(1'b0), .rx(rx), .tx(tx), .busy())")


def _result(talk: Conversation) -> tuple[int | None, int | None]:
    """The class and the cycles of the last answer, if it is one to an image."""
    frames = FrameReader().add(talk.answers[-1]) if talk.answers else []
    for frame in frames:
        if frame.kind == CLASSIFY + ANSWER and len(frame.payload) == RESULT.size:
            return RESULT.unpack(frame.payload)
    return None, None


def _said(image_class: int | None, cycles: int | None) -> str:
    return "no class" if image_class is None else f"class {image_class} after {cycles:,} cycles"
