"""Texts for Vivado, which is not run here: pins, and a script that makes the bitstream."""

from .top import TOP

SCRIPT = "build.tcl"
# Of Amaranth's platform, in the place of its own for Vivado.
FILES = {
    "{{name}}.il": "{{emit_rtlil()}}",
    "{{name}}.xdc": r"""
        {% for port, pin, attributes in platform.iter_port_constraints_bits() -%}
            set_property PACKAGE_PIN {{pin}} [get_ports {{port|tcl_quote}}]
            {% for name, value in attributes.items() -%}
                set_property {{name}} {{value|tcl_quote}} [get_ports {{port|tcl_quote}}]
            {% endfor %}
        {% endfor %}
        {% for port, rate in platform.iter_port_clock_constraints() -%}
            create_clock -name {{port.name}} -period {{1000000000/rate}} [get_ports {{port.name}}]
        {% endfor %}
        set_property CFGBVS VCCO [current_design]
        set_property CONFIG_VOLTAGE 3.3 [current_design]
    """,
}
# Attributes but for those that name places in the source.
VERILOG = """\
read_rtlil {top}.il
proc
opt_clean -purge
setattr -unset src
setattr -mod -unset src
write_verilog {top}.v
"""
ESTIMATE = """\
read_rtlil {top}.il
synth_xilinx -flatten -family xc7 -top {top}
write_json netlist.json
tee -q -o stat.json stat -json
"""
_TCL = """\
# {title}: run 'vivado -mode batch -source {script}' in this folder.
read_verilog {top}.v
read_xdc {top}.xdc
synth_design -top {top} -part {part}
opt_design
place_design
phys_opt_design
route_design
report_utilization -file {top}_utilization.rpt
report_timing_summary -file {top}_timing.rpt
set slack [get_property SLACK [get_timing_paths -setup]]
if {{$slack < 0}} {{
  error "the design is $slack ns too slow for {mhz:g} MHz; build it with a lower --clock-mhz"
}}
write_bitstream -force {top}.bit
"""


def script(title: str, part: str, mhz: float) -> str:
    """Non-project Tcl from the Verilog to a bitstream; it stops where the clock is not met."""
    return _TCL.format(title=title, script=SCRIPT, top=TOP, part=part, mhz=mhz)
