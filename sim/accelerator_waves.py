"""All signals of an accelerator in a few cycles, and what of them to look at first."""

from pathlib import Path

import numpy as np

from hw.mapping import weights_inverted
from hw.program import Program

from .accelerator_bench import address_width, fault_trace, word_width
from .accelerator_run import run_traced, waves_format

BEFORE, AFTER = 32, 64  # cycles around the one to look at
PERIOD = 10  # of the clock in the waves, ns
DUT = "TOP.bench.dut"
BINARY, DECIMAL, HEXADECIMAL, COMMENT = 28, 24, 22, 200  # how GTKWave shows a line


def write_waves(
    program: Program,
    codes: np.ndarray,
    cycle: int,
    folder: Path,
    verilog: str | None = None,
    pe: tuple[int, int] | None = None,
) -> Path:
    """Runs an image alone and writes all signals around a cycle to `waves.fst` in the folder (or
    `waves.vcd`, see `waves_format`), and `waves.gtkw` with which GTKWave opens them. Returns the
    latter.

    cycle: the image's first word is in cycle 1. pe: row and column of one to be shown. folder,
    verilog: as of `sim.accelerator_run.run_images`."""
    window = range(max(cycle - 1 - BEFORE, 0), cycle - 1 + AFTER)
    path = folder / f"waves.{waves_format()}"
    run_traced(program, codes[None], folder, [window], fault_trace(program), verilog, path)
    saved = folder / "waves.gtkw"
    saved.write_text(_saved(program, path, cycle, pe), encoding="utf-8")
    return saved


def _saved(program: Program, path: Path, cycle: int, pe: tuple[int, int] | None) -> str:
    """A save file: the marker at the cycle, cycle c beginning at (c - 1) * PERIOD."""
    time = (cycle - 1) * PERIOD
    lines = [
        f'[dumpfile] "{path.resolve()}"',
        f'[savefile] "{path.resolve().with_suffix(".gtkw")}"',
        f"[timestart] {max(time - 6 * PERIOD, 0)}",
        "[size] 1200 500",
        f"*-6.0 {time}" + " -1" * 26,
    ]
    for shown, name in _signals(program, cycle, pe):
        lines += [f"@{shown}", name]
    return "\n".join(lines) + "\n"


def _signals(program: Program, cycle: int, pe: tuple[int, int] | None) -> list[tuple[int, str]]:
    """How each line is shown, and its name."""
    config, array = program.config, program.config.array
    lines = [(COMMENT, f"-cycle {cycle:,} at the marker"), (BINARY, f"{DUT}.clk")]
    if pe is not None:
        operands, name = array.lanes * array.width, f"{DUT}.array.pe_{pe[0]}_{pe[1]}"
        inverted = ", inverted" if weights_inverted(array) else ""
        lines += [
            (COMMENT, f"-PE of row {pe[0]} and column {pe[1]}: {array.lanes} lanes{inverted}"),
            (HEXADECIMAL, f"{name}.a{_range(operands)}"),
            (HEXADECIMAL, f"{name}.weights{_range(operands)}"),
            (DECIMAL, f"{name}.above{_range(array.tile_width)}"),
            (DECIMAL, f"{name}.sum{_range(array.tile_width)}"),
        ]
    return [
        *lines,
        (COMMENT, "-what is written to the activations"),
        (DECIMAL, f"{DUT}.probe_write_address{_range(address_width(program))}"),
        (HEXADECIMAL, f"{DUT}.probe_write_word{_range(word_width(program))}"),
        (BINARY, f"{DUT}.probe_write_parts{_range(config.parts)}"),
        (BINARY, f"{DUT}.probe_layer_ends"),
    ]


def _range(width: int) -> str:
    return f"[{width - 1}:0]" if width > 1 else ""
