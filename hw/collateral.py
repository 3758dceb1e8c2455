"""What engineers want beside an array's Verilog: its ports as a table, the clock for each tool
chain, Verilator's waivers and a FuseSoC core file."""

import json
import math
from collections.abc import Iterator
from importlib import metadata

from amaranth import Shape
from amaranth.lib.wiring import In

from .config import ArrayConfig
from .systolic import SystolicArray, array_signature
from .verilog import TOP, config_hash
from .weight_stationary import WeightStationaryArray, weight_array_signature

MEANINGS = {
    "clk": "clock; everything happens at its rising edge",
    "rst": "reset, synchronous, active high; hold it rows + cols cycles with zeros at the operands",
    "a": "activations of one reduction step: row, then lane, from the lowest bits",
    "w": "weights of that step: column, then lane, from the lowest bits",
    "last": "these operands end a tile",
    "sums": "one row of sums: column 0 in the lowest bits",
    "valid": "`sums` holds a row",
}
STAYING_MEANINGS = MEANINGS | {  # in weight-stationary arrays
    "rst": "reset, synchronous, active high; hold it for one cycle",
    "a": "activations of one output position: row, then lane, from the lowest bits",
    "w": "weights of one row, the bottom row first: column, then lane, from the lowest bits",
    "load": "`w` is one of the `rows` words of a tile",
    "swap": "the words that have come are the weights of the next activations",
    "active": "`a` is one position's activations",
    "first": "they are of the reduction's first fold",
    "last": "they are of the reduction's last fold",
    "sums": "sums of one position: column 0 in the lowest bits",
}
CLOCK_FILES = {
    "sdc": "create_clock -name clk -period {period:.3f} [get_ports clk]\n",
    "xdc": "create_clock -name clk -period {period:.3f} [get_ports clk]\n",
    "pcf": "set_frequency clk {mhz:g}\n",
    "lpf": 'FREQUENCY PORT "clk" {mhz:g} MHZ;\n',
}
WAIVERS = {
    "DECLFILENAME": "the array and its PE are two modules in one file",
    "UNUSEDSIGNAL": "Yosys names intermediate nets of which not every bit is used",
    "PROCASSINIT": "registers have initial values, which FPGAs load at power-up",
    "WIDTHEXPAND": "operands of + are extended as Verilog says",
}


def ports(config: ArrayConfig) -> Iterator[tuple[str, str, int, str]]:
    """(name, direction, bits, meaning) of each port of the module `adderforge_array`."""
    stays = config.dataflow == "weight-stationary"
    meanings = STAYING_MEANINGS if stays else MEANINGS
    signature = weight_array_signature(config) if stays else array_signature(config)
    yield "clk", "input", 1, meanings["clk"]
    yield "rst", "input", 1, meanings["rst"]
    for name, member in signature.members.items():
        direction = "input" if member.flow is In else "output"
        yield name, direction, Shape.cast(member.shape).width, meanings[name]


def interface_page(config: ArrayConfig) -> str:
    """Markdown: the configuration, what follows from it, and the ports."""
    derived = {"acc_width": config.acc_width, "sums are signed": config.acc_signed}
    derived["weights are signed"] = config.weight_signed
    lines = [f"# {TOP}, configuration {config_hash(config)}", "", "| parameter | value |"]
    lines += ["| --- | --- |"]
    values = config.model_dump() | derived
    lines += [f"| {name} | {json.dumps(value)} |" for name, value in values.items()]
    lines += ["", "| port | direction | bits | meaning |", "| --- | --- | --: | --- |"]
    lines += [f"| {' | '.join(map(str, port))} |" for port in ports(config)]
    stays = config.dataflow == "weight-stationary"
    timing = (WeightStationaryArray if stays else SystolicArray).__doc__.split("\n\n")[1:3]
    text = "\n\n".join(" ".join(part.split()) for part in timing)
    return "\n".join(lines) + f"\n\n{text}\n"


def clock_files(clock_mhz: float) -> dict[str, str]:
    """Constraints by file name, one for each tool chain: Synopsys and OpenROAD, Vivado,
    nextpnr-ice40, nextpnr-ecp5. ValueError when the rate is not positive."""
    if not 0 < clock_mhz < math.inf:
        raise ValueError(f"clock_mhz must be positive, not {clock_mhz}")
    values = {"period": 1000 / clock_mhz, "mhz": clock_mhz}
    return {f"{TOP}.{kind}": text.format(**values) for kind, text in CLOCK_FILES.items()}


def lint_waivers() -> str:
    """Verilator's configuration file with the only warnings of -Wall that the Verilog gives."""
    rules = "".join(f"// {why}\nlint_off -rule {rule}\n" for rule, why in WAIVERS.items())
    return f"`verilator_config\n{rules}"


def fusesoc_core(config: ArrayConfig) -> str:
    """A FuseSoC core file (CAPI 2) with targets for lint and simulation. The name ends in the
    configuration's hash, so that arrays of several configurations can be used together."""
    version = metadata.version("adderforge")
    return f"""CAPI=2:
name: "adderforge:arrays:{TOP}_{config_hash(config)}:{version}"
description: "Systolic array of {config.pe} PEs, {config.rows} x {config.cols} x {config.lanes}"

filesets:
  rtl:
    files: [{TOP}.v]
    file_type: verilogSource
  lint:
    files: [{TOP}.vlt]
    file_type: vlt
  bench:
    files:
      - {TOP}_tb.v
      - stimulus.mem: {{file_type: user, copyto: stimulus.mem}}
      - expected.mem: {{file_type: user, copyto: expected.mem}}
    file_type: verilogSource

targets:
  default:
    filesets: [rtl]
    toplevel: {TOP}
  lint:
    default_tool: verilator
    filesets: [lint, rtl]
    tools: {{verilator: {{mode: lint-only, verilator_options: [-Wall]}}}}
    toplevel: {TOP}
  sim:
    default_tool: icarus
    filesets: [rtl, bench]
    toplevel: {TOP}_tb
"""
