"""Verilog of an accelerator with its program: one file, the same from run to run."""

from amaranth.back import rtlil

from .accelerator import Accelerator
from .arithmetic import PLAIN
from .program import Program
from .verilog import PeInstance, pe_rtlil, to_verilog

TOP = "adderforge_accelerator"


def accelerator_verilog(program: Program) -> str:
    """Verilog-2001 of `Accelerator(program)`: top module `adderforge_accelerator`, ports clk, rst,
    i_image and o_class, each with __payload, __valid and __ready. The memories start with the
    program's contents. ToolError when Yosys is missing or fails."""
    return to_verilog(accelerator_rtlil(program))


def accelerator_rtlil(program: Program, structure: str = PLAIN) -> str:
    """RTLIL of the same; structure: of the PEs, as of `hw.verilog.array_verilog`."""
    accelerator = Accelerator(program, pe=lambda config: PeInstance(config, structure))
    return pe_rtlil(program.config.array, structure) + rtlil.convert(
        accelerator, name=TOP, emit_src=False
    )
