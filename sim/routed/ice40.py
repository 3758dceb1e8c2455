"""Cells of iCE40, by nextpnr's names, as Verilog. Sources: Lattice FPGA-TN-02052 (PLL), 02002
(block RAM), 02022 (single-port RAM), 02007 (multiplier), SB_* in Lattice's iCE Technology Library;
for what nextpnr makes of them its ice40/pack.cc and Yosys' models. A pin without a net is 0, but an
enable of a clock is 1.

The PLL passes the clock of its pin on, so whoever simulates clocks the pin at the PLL's rate."""

from .netlist import Cell, Kind, Netlist
from .verilog import ONE, ZERO, Clocking, FlipFlop, Verilog, lookup

BIT, ANY, OPEN = "[01]", "[01]+", "(?!)"


def _write_logic(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """A lookup table, a carry, and a flip-flop. The enable gates a synchronous reset, too."""
    pins, on = cell.pins, {name for name, value in cell.settings.items() if value == "1"}
    first, second, third, last = (pins.get(f"I{number}", ZERO) for number in range(4))
    value = lookup(cell.settings["LUT_INIT"], (first, second, third, last))
    if "CARRY_ENABLE" in on:
        fixed = ONE if "CIN_SET" in on else ZERO
        carry = fixed if "CIN_CONST" in on else pins.get("CIN", ZERO)
        either = f"({second} | {third}) & {carry}"
        verilog.assign(pins.get("COUT"), f"{second} & {third} | {either}")
    verilog.assign(pins.get("LO"), value)
    if "DFF_ENABLE" not in on:
        verilog.assign(pins.get("O"), value)
    elif "O" in pins:
        clocking = Clocking(
            edge=f"{'negedge' if 'NEG_CLK' in on else 'posedge'} {cell.net('CLK')}",
            enable=pins.get("CEN", ONE),
            reset=pins.get("SR", ZERO),
            reset_first=False,
            asynchronous="ASYNC_SR" in on,
        )
        after_reset = ONE if "SET_NORESET" in on else ZERO
        verilog.flip_flop(clocking, FlipFlop(pins["O"], value, after_reset, initial=ZERO))


def _write_ram(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    contents = "".join(cell.settings[f"INIT_{row:X}"] for row in reversed(range(16)))
    number = int(contents.replace("x", "0"), 2)  # nextpnr makes 0 of undefined bits
    settings = {f"{side}_MODE": f"2'b{cell.settings[f'{side}_MODE']}" for side in ("READ", "WRITE")}
    settings["INIT"] = f"4096'h{number:x}"
    read, write = (
        f"{cell.pins.get(enable, ZERO)} & {cell.pins.get(clock, ONE)}"
        for enable, clock in (("RE", "RCLKE"), ("WE", "WCLKE"))
    )
    pins = {
        "read_clock": cell.pins.get("RCLK", ZERO),
        "read": read,
        "read_address": cell.bits("RADDR_{}", 11, ZERO),
        "read_data": verilog.output([cell.pins.get(f"RDATA_{bit}") for bit in range(16)]),
        "write_clock": cell.pins.get("WCLK", ZERO),
        "write": write,
        "write_address": cell.bits("WADDR_{}", 11, ZERO),
        "write_data": cell.bits("WDATA_{}", 16, ZERO),
        "mask": cell.bits("MASK_{}", 16, ZERO),
    }
    verilog.instance("ice40_ram", settings, pins)


def _write_spram(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    for pin, value in (("STANDBY", ZERO), ("SLEEP", ZERO), ("POWEROFF", ONE)):
        verilog.demand(cell, pin, value)
    pins = {
        "clock": cell.pins.get("CLOCK", ZERO),
        "select": cell.pins.get("CHIPSELECT", ZERO),
        "write": cell.pins.get("WREN", ZERO),
        "address": cell.bits("ADDRESS_{}", 14, ZERO),
        "write_data": cell.bits("DATAIN_{}", 16, ZERO),
        "mask": cell.bits("MASKWREN_{}", 4, ZERO),
        "read_data": verilog.output([cell.pins.get(f"DATAOUT_{bit}") for bit in range(16)]),
    }
    verilog.instance("ice40_spram", {}, pins)


MULTIPLIER_BUSES = ("A", "B", "C", "D")
MULTIPLIER_PINS = (
    *("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT"),
    *("OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT"),
)
MULTIPLIER_SETTINGS = {
    **dict.fromkeys(("A_SIGNED", "B_SIGNED"), ANY),
    **dict.fromkeys(("A_REG", "B_REG", "C_REG", "D_REG"), BIT),
    **dict.fromkeys(("TOPADDSUB_UPPERINPUT", "BOTADDSUB_UPPERINPUT"), BIT),
    "TOPADDSUB_CARRYSELECT": "[01][01]",
    "BOTADDSUB_CARRYSELECT": "0[01]",  # without a neighbor
    "TOPADDSUB_LOWERINPUT": "00|1[01]",
    "BOTADDSUB_LOWERINPUT": "[01]0",
    **dict.fromkeys(("TOPOUTPUT_SELECT", "BOTOUTPUT_SELECT"), "0[01]|11"),
}
MULTIPLIER_OFF = (
    *("MODE_8x8", "NEG_TRIGGER", "PIPELINE_16x16_MULT_REG1", "PIPELINE_16x16_MULT_REG2"),
    *("BOT_8x8_MULT_REG", "TOP_8x8_MULT_REG"),
)


def _write_multiplier(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    settings = {name: f"2'b{cell.settings.get(name, '0')[-2:]}" for name in MULTIPLIER_SETTINGS}
    pins = {
        "CLK": cell.pins.get("CLK", ZERO),
        "CE": cell.pins.get("CE", ONE),
        **{name: cell.bits(f"{name}_{{}}", 16, ZERO) for name in MULTIPLIER_BUSES},
        **{name: cell.pins.get(name, ZERO) for name in MULTIPLIER_PINS},
        "O": verilog.output([cell.pins.get(f"O_{bit}") for bit in range(32)]),
    }
    for name in ("CO", "ACCUMCO", "SIGNEXTOUT"):
        pins[name] = verilog.output([cell.pins.get(name)])
    verilog.instance("ice40_multiplier", settings, pins)


def _write_pin(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """One for input, or one that always drives."""
    pins = cell.pins
    verilog.demand(cell, "CLOCK_ENABLE", ONE)
    verilog.demand(cell, "OUTPUT_ENABLE", ONE)
    if "D_OUT_0" in pins:
        verilog.assign(cell.net("PACKAGE_PIN"), pins["D_OUT_0"])
    verilog.assign(pins.get("D_IN_0"), cell.net("PACKAGE_PIN"))


def _write_buffer(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """Of a global net; one of a pin or a PLL has no net on its input."""
    if "FOR_PAD_IN" in cell.attributes:
        source = _pad(cell, netlist).net("PACKAGE_PIN")
    else:
        source = cell.pins.get("USER_SIGNAL_TO_GLOBAL_BUFFER", ZERO)
    verilog.assign(cell.pins.get("GLOBAL_BUFFER_OUTPUT"), source)


def _pad(buffer: Cell, netlist: Netlist) -> Cell:
    """The pin, by the buffer's name, which is made of that of the pin or of the PLL behind it."""
    name = buffer.name.removeprefix("$gbuf_")
    if pin := netlist.cells.get(name.removesuffix("_io")):
        return pin
    pll = netlist.cells.get(name.removesuffix("_pllout_a") + "_PLL")
    place = pll.attributes.get("BEL_PAD_INPUT") if pll else None
    for cell in netlist.cells.values():
        if place and cell.attributes.get("NEXTPNR_BEL") == place:
            return cell
    raise ValueError(f"global buffer {buffer.name} must belong to a pin or a PLL of the netlist")


def _write_pll(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """Locked from the start; its clock comes through a global buffer."""
    verilog.demand(cell, "RESETB", ONE)
    verilog.demand(cell, "BYPASS", ZERO)
    verilog.assign(cell.pins.get("LOCK"), ONE)


LOGIC_SETTINGS = {
    "LUT_INIT": "[01]{16}",
    **dict.fromkeys(("CARRY_ENABLE", "CIN_CONST", "CIN_SET", "DFF_ENABLE", "NEG_CLK"), BIT),
    **dict.fromkeys(("ASYNC_SR", "SET_NORESET"), BIT),
}
RAM_SETTINGS = {
    **{f"INIT_{row:X}": "[01x]{256}" for row in range(16)},
    **dict.fromkeys(("READ_MODE", "WRITE_MODE"), "[01]{2}"),
    **dict.fromkeys(("NEG_CLK_R", "NEG_CLK_W"), "0"),
}
PLL_SETTINGS = {
    **dict.fromkeys(("DIVR", "DIVF", "DIVQ", "FILTER_RANGE"), ANY),
    "FEEDBACK_PATH": "001",
    "PLLTYPE": "0+10",  # from a pin, to one clock
    **dict.fromkeys(("PLLOUT_SELECT_A", "PLLOUT_SELECT_B"), "00"),
    **dict.fromkeys(("FDA_FEEDBACK", "FDA_RELATIVE"), "0000"),
    **dict.fromkeys(("DELAY_ADJMODE_FB", "DELAY_ADJMODE_REL", "TEST_MODE"), "0"),
    **dict.fromkeys(("ENABLE_ICEGATE_PORTA", "ENABLE_ICEGATE_PORTB", "SHIFTREG_DIVMODE"), "0"),
}
PIN_SETTINGS = {
    "PIN_TYPE": "0*1|101001",  # for input, and driven where OUTPUT_ENABLE says so
    "IO_STANDARD": r"\w+",
    "PULLUP": ANY,
    "NEG_TRIGGER": "0",
}
KINDS = {
    "ICESTORM_LC": Kind(
        settings=LOGIC_SETTINGS, pins="I[0-3]|CIN|COUT|LO|O|CLK|CEN|SR", write=_write_logic
    ),
    "ICESTORM_RAM": Kind(
        settings=RAM_SETTINGS,
        pins=r"[RW](ADDR|DATA)_\d+|MASK_\d+|[RW](E|CLK|CLKE)",
        write=_write_ram,
    ),
    "ICESTORM_SPRAM": Kind(
        settings={},
        pins=r"(ADDRESS|DATAIN|DATAOUT|MASKWREN)_\d+|"
        "WREN|CHIPSELECT|CLOCK|STANDBY|SLEEP|POWEROFF",
        write=_write_spram,
    ),
    "ICESTORM_DSP": Kind(
        settings=MULTIPLIER_SETTINGS | dict.fromkeys(MULTIPLIER_OFF, "0"),
        pins=rf"[ABCDO]_\d+|CLK|CE|CO|ACCUMCO|SIGNEXTOUT|{'|'.join(MULTIPLIER_PINS)}",
        write=_write_multiplier,
    ),
    "ICESTORM_PLL": Kind(settings=PLL_SETTINGS, pins="LOCK|RESETB|BYPASS", write=_write_pll),
    "SB_IO": Kind(
        settings=PIN_SETTINGS,
        pins="PACKAGE_PIN|D_IN_0|D_OUT_0|OUTPUT_ENABLE|CLOCK_ENABLE",
        write=_write_pin,
    ),
    "SB_GB": Kind(
        settings={},
        pins="USER_SIGNAL_TO_GLOBAL_BUFFER|GLOBAL_BUFFER_OUTPUT",
        write=_write_buffer,
    ),
}
