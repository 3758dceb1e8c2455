"""Verilog of an accelerator with its program: one file, the same from run to run."""

from amaranth.back import rtlil

from .accelerator import Accelerator
from .program import Program
from .verilog import PE, PeInstance, to_verilog
from .weight_stationary import WeightStationaryPE, weight_pe_signature

TOP = "adderforge_accelerator"


def accelerator_verilog(program: Program) -> str:
    """Verilog-2001 of `Accelerator(program)`: top module `adderforge_accelerator`, ports clk, rst,
    i_image and o_class, each with __payload, __valid and __ready. The memories start with the
    program's contents. ToolError when Yosys is missing or fails."""
    array = program.config.array
    signature = weight_pe_signature(array)
    accelerator = Accelerator(program, pe=lambda config: PeInstance(signature))
    pe = WeightStationaryPE(array)
    text = rtlil.convert(pe, name=PE, emit_src=False)
    text += rtlil.convert(accelerator, name=TOP, emit_src=False)
    return to_verilog(text)
