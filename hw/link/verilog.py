"""Verilog of an accelerator on a serial line."""

from amaranth.back import rtlil

from ..arithmetic import PLAIN
from ..program import Program
from ..verilog import PE, PeInstance, to_verilog
from ..weight_pe import WeightStationaryPE
from .device import SerialAccelerator
from .weight_store import WeightStore

TOP = "adderforge_serial"


def serial_verilog(program: Program, divisor: int, store: WeightStore | None = None) -> str:
    """Verilog-2001 of `SerialAccelerator(program, divisor, store)`: top module `adderforge_serial`,
    ports clk, rst, rx, tx and busy. ToolError when Yosys is missing or fails."""
    return "`timescale 1ns / 1ps\n" + to_verilog(serial_rtlil(program, divisor, store))


def serial_rtlil(
    program: Program, divisor: int, store: WeightStore | None = None, structure: str = PLAIN
) -> str:
    """RTLIL of the same; structure: of the PEs."""
    pe = WeightStationaryPE(program.config.array, structure)
    device = SerialAccelerator(program, divisor, store, pe=PeInstance)
    text = rtlil.convert(pe, name=PE, emit_src=False)
    return text + rtlil.convert(device, name=TOP, emit_src=False)
