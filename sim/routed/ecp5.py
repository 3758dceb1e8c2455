"""Cells of ECP5, by nextpnr's names, as Verilog. Sources: Lattice FPGA-TN-02200 (PLL), 02204
(memory), 02205 (multiplier), FPGA-DS-02012 (logic); for what nextpnr makes of them its
ecp5/pack.cc, cells.cc and bitstream.cc, and Yosys' models. An input of a lookup table without a net
is 1, as is an enable; other pins without a net are 0 unless a parameter says otherwise.

The PLL passes its input on, so whoever simulates clocks the pin at the PLL's rate."""

from .netlist import Cell, Kind, Netlist
from .verilog import ONE, ZERO, Clocking, FlipFlop, Verilog, lookup

BIT, ANY, WORD = "[01]", "[01]+", r"\w+"
TABLE = "[01]{16}"


def _pin(cell: Cell, name: str, default: str = ZERO) -> str:
    """What a pin gets: of its net, or of its parameter for the multiplexer behind it."""
    chosen = cell.settings.get(f"{name}MUX", name)
    if chosen in ("0", "1"):
        return f"1'b{chosen}"
    inverted = "~" if chosen == "INV" else ""
    if name in cell.pins:
        return inverted + cell.pins[name]
    return ZERO if inverted else default


def _control(cell: Cell, name: str, default: str = ZERO) -> str:
    """As `_pin`, of a block: without a net its wire is 1, which its parameter, where it has one,
    passes on or inverts."""
    return _pin(cell, name, ONE if f"{name}MUX" in cell.settings else default)


def _bus(cell: Cell, pattern: str, count: int) -> str:
    return f"{{{', '.join(_pin(cell, pattern.format(bit)) for bit in reversed(range(count)))}}}"


def _write_logic(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """A lookup table, half a carry cell or a bit of distributed RAM; two of them, or the two next
    to them, make a larger table."""
    pins, mode = cell.pins, cell.settings.get("MODE", "LOGIC")
    inputs = [pins.get(name, ONE) for name in "ABCD"]
    value = lookup(cell.settings["INITVAL"], inputs)
    if mode == "CCU2":
        value = _carry(cell, inputs, value, verilog)
    elif mode == "DPRAM":
        value = _distributed_ram(cell, inputs, verilog)
    verilog.assign(pins.get("F"), value)
    if "OFX" in pins:
        low, high = (cell.net("FXA"), cell.net("FXB")) if "FXA" in pins else (value, cell.net("F1"))
        chosen = pins.get("M", ZERO)
        verilog.assign(pins["OFX"], f"({chosen} & {high} | ~{chosen} & {low})")


def _carry(cell: Cell, inputs: list[str], value: str, verilog: Verilog) -> str:
    """Returns the sum."""
    fixed = cell.settings.get("CCU2_INJECT1") == "YES"
    carry = cell.pins.get("FCI", ZERO)
    generated = ZERO if fixed else lookup(cell.settings["INITVAL"][-4:], inputs[:2])
    verilog.assign(cell.pins.get("FCO"), f"(~{value} & {generated} | {value} & {carry})")
    return value if fixed else f"({value} ^ {carry})"


def _distributed_ram(cell: Cell, inputs: list[str], verilog: Verilog) -> str:
    """Returns what it reads. INITVAL is in the order of the table's inputs; the address to write
    comes in that of bits D, B, C, A."""
    low, *rest = (cell.net(f"WAD{bit}") for bit in range(4))
    address = ", ".join((low, rest[1], rest[0], rest[2]))
    read = "value" + cell.pins["F"]
    pins = {
        "clock": _pin(cell, "WCK"),
        "write": _pin(cell, "WRE"),
        "address": f"{{{address}}}",
        "write_data": _pin(cell, "WD"),
        "read_address": f"{{{', '.join(reversed(inputs))}}}",
        "read_data": verilog.wire(read),
    }
    verilog.instance("ecp5_bit_ram", {"INIT": f"16'b{cell.settings['INITVAL']}"}, pins)
    return read


def _write_address(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """The pins through which distributed RAM is written."""
    for bit, (address, data) in enumerate(zip("DBCA", "CADB", strict=True)):
        verilog.assign(cell.pins.get(f"WADO{bit}"), cell.pins.get(f"{address}0", ONE))
        verilog.assign(cell.pins.get(f"WDO{bit}"), cell.pins.get(f"{data}1", ONE))


def _global_reset(cell: Cell, netlist: Netlist) -> str:
    """1 while cells that take the global reset are in reset."""
    if cell.settings.get("GSR") != "ENABLED":
        return ZERO
    nets = [one.net("GSR") for one in netlist.cells.values() if one.kind == "GSR"]
    return f"~{nets[0]}" if nets else ZERO


def _write_flip_flop(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    value = ONE if cell.settings.get("REGSET", "RESET") == "SET" else ZERO
    data = cell.net("DI" if cell.settings.get("SD") == "1" else "M")
    resets = {_pin(cell, "LSR"), _global_reset(cell, netlist)} - {ZERO}
    asynchronous = cell.settings.get("SRMODE") == "ASYNC"
    reset = " | ".join(sorted(resets)) or ZERO
    edge = "negedge" if cell.settings.get("CLKMUX") == "INV" else "posedge"
    clocking = Clocking(
        edge=f"{edge} {cell.net('CLK')}",
        enable=_pin(cell, "CE", ONE),
        reset=verilog.named(reset) if asynchronous and resets else reset,
        asynchronous=asynchronous and bool(resets),
    )
    if "Q" in cell.pins:
        verilog.flip_flop(clocking, FlipFlop(cell.pins["Q"], data, value, initial=value))


def _write_ram(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """Words of 9 or 18 bits, or of 36 bits on both ports, which A writes and B reads."""
    widths = {port: int(cell.settings[f"DATA_WIDTH_{port}"], 2) for port in "AB"}
    wide = 36 in widths.values()
    if wide and len(set(widths.values())) > 1:
        raise ValueError(f"both ports of {cell.kind} {cell.name} must have 36 bits, or none")
    rows = [cell.settings.get(f"INITVAL_{row:02X}", "0" * 320) for row in reversed(range(64))]
    words = (row[at + 2 : at + 20] for row in rows for at in range(0, 320, 20))
    settings = {"INIT": f"18432'h{int(''.join(words).replace('x', '0'), 2):x}"}
    pins = {"reset": _global_reset(cell, netlist)}
    for port in "AB":
        for name in (f"RST{port}", *(f"CS{port}{bit}" for bit in range(3))):
            if _control(cell, name) != ZERO:
                raise ValueError(f"pin {name} of {cell.kind} {cell.name} must be constant, 0")
        old = cell.settings.get(f"WRITEMODE_{port}") == "READBEFOREWRITE"
        late = cell.settings.get(f"REGMODE_{port}") == "OUTREG"
        settings |= {f"OLD_{port}": f"{old:d}", f"LATE_{port}": f"{late:d}"}
        if not wide:
            settings[f"NARROW_{port}"] = f"{widths[port] == 9:d}"
        pins |= {
            f"clock_{port}": _control(cell, f"CLK{port}"),
            f"enable_{port}": _control(cell, f"CE{port}", ONE),
            f"output_enable_{port}": _control(cell, f"OCE{port}", ONE),
            f"write_{port}": _control(cell, f"WE{port}"),
            f"address_{port}": _bus(cell, f"AD{port}{{}}", 14),
            f"write_data_{port}": _bus(cell, f"DI{port}{{}}", 18),
            f"read_data_{port}": verilog.output(
                [cell.pins.get(f"DO{port}{bit}") for bit in range(18)]
            ),
        }
    verilog.instance("ecp5_ram36" if wide else "ecp5_ram18", settings, pins)


def _write_multiplier(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """Without registers."""
    for name in ("SOURCEA", "SOURCEB"):
        verilog.demand(cell, name, ZERO)
    pins = {
        "a": _bus(cell, "A{}", 18),
        "b": _bus(cell, "B{}", 18),
        "signed_a": _pin(cell, "SIGNEDA"),
        "signed_b": _pin(cell, "SIGNEDB"),
        "product": verilog.output([cell.pins.get(f"P{bit}") for bit in range(36)]),
    }
    verilog.instance("ecp5_multiplier", {}, pins)


def _write_pin(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """One for input, or one that always drives."""
    pad = cell.net("B")
    verilog.demand(cell, "T", ZERO)
    if cell.settings["DIR"] == "OUTPUT":
        verilog.assign(pad, cell.net("I"))
    verilog.assign(cell.pins.get("O"), pad)


def _write_buffer(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    verilog.demand(cell, "CE", ONE)
    verilog.assign(cell.pins.get("CLKO"), cell.net("CLKI"))


def _write_pll(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """Locked from the start."""
    for name in ("RST", "STDBY"):
        verilog.demand(cell, name, ZERO)
    verilog.assign(cell.pins.get("CLKOP"), cell.net("CLKI"))
    verilog.assign(cell.pins.get("LOCK"), ONE)


def _ignore(cell: Cell, netlist: Netlist, verilog: Verilog) -> None:
    """The global reset: whoever takes it looks for it."""


def _muxes(names: str, values: str) -> dict[str, str]:
    return {rf"{name}MUX": rf"{name}|{values}" for name in names.split()}


LOGIC_SETTINGS = {
    "INITVAL": TABLE,
    "MODE": "LOGIC|CCU2|DPRAM|RAMW_BLOCK",
    "CCU2_INJECT1": "YES|NO",
    **_muxes("WCK", "INV"),
    **_muxes("WRE", "INV|0|1"),
}
FLIP_FLOP_SETTINGS = {
    "GSR": "ENABLED|DISABLED",
    "SD": BIT,
    "SRMODE": "LSR_OVER_CE|ASYNC",
    "REGSET": "SET|RESET",
    **_muxes("CLK LSR", "INV"),
    **_muxes("CE", "INV|0|1"),
}
BUSES = [f"{name}{port}{bit}" for port in "AB" for name in ("AD", "DI") for bit in range(18)]
RAM_SETTINGS = {
    **{f"INITVAL_{row:02X}": "[01x]{320}" for row in range(64)},
    **dict.fromkeys(("DATA_WIDTH_A", "DATA_WIDTH_B"), "0*(1001|10010|100100)"),
    **dict.fromkeys(("REGMODE_A", "REGMODE_B"), "NOREG|OUTREG"),
    **dict.fromkeys(("CSDECODE_A", "CSDECODE_B"), "0b000"),
    **dict.fromkeys(("WRITEMODE_A", "WRITEMODE_B"), "NORMAL|READBEFOREWRITE"),
    **dict.fromkeys(("RESETMODE", "ASYNC_RESET_RELEASE"), "SYNC|ASYNC"),
    "GSR": "ENABLED|DISABLED",
    "INIT_DATA": "STATIC",
    "WID": ANY,
    **_muxes(" ".join(BUSES), "0|1"),
    **_muxes("CLKA CLKB CEA CEB OCEA OCEB WEA WEB", "INV|0|1"),
    **_muxes("RSTA RSTB CSA0 CSA1 CSA2 CSB0 CSB1 CSB2", "INV|0"),
}
MULTIPLIER_SETTINGS = _muxes(
    " ".join(f"{bus}{bit}" for bus in "ABC" for bit in range(18)), "0|1"
) | _muxes("SIGNEDA SIGNEDB", "0|1")
PLL_SETTINGS = {
    **dict.fromkeys(("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV", "CLKOP_CPHASE"), ANY),
    "FEEDBK_PATH": "CLKOP",
    "CLKOP_ENABLE": "ENABLED",
}
KINDS = {
    "TRELLIS_COMB": Kind(
        settings=LOGIC_SETTINGS,
        pins="[A-DFM]|F1|FXA|FXB|OFX|FCI|FCO|WCK|WRE|WD|WAD[0-3]",
        write=_write_logic,
    ),
    "TRELLIS_RAMW": Kind(settings={}, pins="[A-D][01]|W(A?)DO[0-3]", write=_write_address),
    "TRELLIS_FF": Kind(
        settings=FLIP_FLOP_SETTINGS, pins="CLK|LSR|CE|DI|M|Q", write=_write_flip_flop
    ),
    "DP16KD": Kind(
        settings=RAM_SETTINGS,
        pins=r"(AD|DI|DO)[AB]\d+|(CLK|CE|OCE|WE|RST)[AB]|CS[AB][0-2]",
        write=_write_ram,
    ),
    "MULT18X18D": Kind(
        settings=MULTIPLIER_SETTINGS,
        pins=r"[ABP]\d+|(SIGNED|SOURCE)[AB]",
        write=_write_multiplier,
    ),
    "TRELLIS_IO": Kind(settings={"DIR": "INPUT|OUTPUT"}, pins="[BITO]", write=_write_pin),
    "DCCA": Kind(settings={}, pins="CLKI|CLKO|CE", write=_write_buffer),
    "EHXPLLL": Kind(
        settings=PLL_SETTINGS, pins="CLKI|CLKFB|RST|STDBY|CLKOP|LOCK", write=_write_pll
    ),
    "GSR": Kind(settings={"MODE": "ACTIVE_LOW", "SYNCMODE": "SYNC"}, pins="GSR|CLK", write=_ignore),
}
