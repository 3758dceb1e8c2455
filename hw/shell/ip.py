"""An accelerator as an IP block: its Verilog, and the files that go with it."""

from importlib import metadata

from amaranth import ClockDomain, Elaboratable, Module, Signal
from amaranth.back import rtlil

from ..program import Program
from ..verilog import PE, PeInstance, to_verilog
from ..weight_pe import WeightStationaryPE
from .ip_xact import ip_xact
from .register_files import register_files
from .registers import known_hash, register_map
from .self_test import StoredImages
from .shell import Shell, shell_signature

TOP = "adderforge_ip"


class Clocked(Elaboratable):
    """The shell with its clock and reset under the names that AXI has for them."""

    def __init__(self, shell: Shell):
        self.shell = shell
        self.aclk, self.aresetn = Signal(name="aclk"), Signal(name="aresetn")

    @property
    def ports(self) -> list[Signal]:
        members = self.shell.signature.members
        return [self.aclk, self.aresetn, *(getattr(self.shell, name) for name in members)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain(local=True)
        m.d.comb += [sync.clk.eq(self.aclk), sync.rst.eq(~self.aresetn)]
        m.submodules.shell = self.shell
        return m


def ip_verilog(program: Program, images: StoredImages) -> str:
    """Verilog-2001 of `Shell(program, images)`: top module `adderforge_ip`, ports aclk, aresetn
    (synchronous, active low) and the shell's. ToolError when Yosys is missing or fails."""
    array = program.config.array
    clocked = Clocked(Shell(program, images, pe=PeInstance))
    text = rtlil.convert(WeightStationaryPE(array), name=PE, emit_src=False)
    text += rtlil.convert(clocked, name=TOP, ports=clocked.ports, emit_src=False)
    header = f"// {_title(program)}\n"
    return header + "`timescale 1ns / 1ps\n" + to_verilog(text)


def ip_files(program: Program, images: StoredImages) -> dict[str, str]:
    """By file name: the Verilog; the registers as JSON, Markdown, C header and SVD; IP-XACT, and a
    FuseSoC core file. Errors as of `ip_verilog`."""
    registers, verilog = register_map(program), f"{TOP}.v"
    signature = shell_signature(program)
    return {
        verilog: ip_verilog(program, images),
        **register_files(registers, _title(program)),
        "component.xml": ip_xact(signature, registers, TOP, [verilog]),
        f"{TOP}.core": _fusesoc_core(program),
    }


def _title(program: Program) -> str:
    what = "program" if program.config.external == "none" else "hardware"
    return f"{program.name}, AdderForge {what} {known_hash(program)}"


def _fusesoc_core(program: Program) -> str:
    """A FuseSoC core file (CAPI 2)."""
    version = metadata.version("adderforge")
    return f"""CAPI=2:
name: "adderforge:accelerators:{TOP}_{known_hash(program)}:{version}"
description: "{program.name} from image to class, AXI4-Stream and AXI4-Lite"

filesets:
  rtl:
    files: [{TOP}.v]
    file_type: verilogSource

targets:
  default:
    filesets: [rtl]
    toplevel: {TOP}
  lint:
    default_tool: verilator
    filesets: [rtl]
    tools: {{verilator: {{mode: lint-only}}}}
    toplevel: {TOP}
"""
