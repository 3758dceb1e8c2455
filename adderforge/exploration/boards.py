"""What the FPGAs of common boards hold, from their makers' data sheets."""

from collections.abc import Iterable
from dataclasses import dataclass

import hw.boards
from hw.boards.clocks import find_clock

ICE40_ULTRAPLUS = "Lattice FPGA-DS-02008, iCE40 UltraPlus Family Data Sheet, table 2.1"
ICE40_HX = "Lattice FPGA-DS-02029, iCE40 LP/HX Family Data Sheet, table 1.1"
ECP5 = "Lattice FPGA-DS-02012, ECP5 and ECP5-5G Family Data Sheet, table 1.1"
ARTIX7 = "Xilinx DS180, 7 Series FPGAs Data Sheet: Overview, table 4"
GOWIN_9 = "Gowin DS117, GW1NR Series Data Sheet, table 2-1"
GOWIN_20 = "Gowin DS102, GW2A Series Data Sheet, table 2-1"


@dataclass(frozen=True, kw_only=True)
class Board:
    """target: as in `hw.synth`. luts: LUT4s, LUT6s on 7-series. block_rams: of 4 kbit on iCE40, 18
    kbit on ECP5 and Gowin, 36 kbit on 7-series. dsps: multipliers of at least 16 × 16 bits.
    clock_mhz: of the board's oscillator. source: of all but the clock. ultraplus: as of
    `effort.Effort`."""

    name: str
    device: str
    target: str
    luts: int
    flip_flops: int
    block_rams: int
    dsps: int
    clock_mhz: float
    source: str
    ultraplus: bool = False

    @property
    def resources(self) -> dict[str, int]:
        names = ("luts", "flip_flops", "block_rams", "dsps")
        return {name: getattr(self, name) for name in names}


def _board(name, device, target, luts, flip_flops, block_rams, dsps, clock_mhz, source):
    return Board(
        name=name,
        device=device,
        target=target,
        luts=luts,
        flip_flops=flip_flops,
        block_rams=block_rams,
        dsps=dsps,
        clock_mhz=clock_mhz,
        source=source,
        ultraplus=source == ICE40_ULTRAPLUS,
    )


_LFE5U_25 = ("LFE5U-25F", "ecp5", 24_288, 24_288, 56, 28)
_LFE5U_85 = ("LFE5U-85F", "ecp5", 83_640, 83_640, 208, 156)
_XC7A35 = ("XC7A35T", "xilinx7", 20_800, 41_600, 50, 90)
BOARDS = {
    board.name: board
    for board in (
        _board("icestick", "iCE40HX1K", "ice40", 1_280, 1_280, 16, 0, 12.0, ICE40_HX),
        _board("icebreaker", "iCE40UP5K", "ice40", 5_280, 5_280, 30, 8, 12.0, ICE40_ULTRAPLUS),
        _board("ice40-hx8k-b-evn", "iCE40HX8K", "ice40", 7_680, 7_680, 32, 0, 12.0, ICE40_HX),
        _board("orangecrab", *_LFE5U_25, 48.0, ECP5),
        _board("colorlight-5a75b", *_LFE5U_25, 25.0, ECP5),
        _board("ulx3s-85f", *_LFE5U_85, 25.0, ECP5),
        _board("cmod-a7-35", *_XC7A35, 12.0, ARTIX7),
        _board("arty-a7-35", *_XC7A35, 100.0, ARTIX7),
        _board("arty-a7-100", "XC7A100T", "xilinx7", 63_400, 126_800, 135, 240, 100.0, ARTIX7),
        _board("tang-nano-9k", "GW1NR-9", "gowin", 8_640, 6_480, 26, 20, 27.0, GOWIN_9),
        _board("tang-primer-20k", "GW2A-18", "gowin", 20_736, 15_552, 46, 48, 27.0, GOWIN_20),
    )
}


def measured_board(name: str) -> Board:
    """ValueError also for one whose FPGA's energy is not known, see `hw.up5k`."""
    known = [name for name, some in BOARDS.items() if some.ultraplus]
    found = board(name, known)
    if name not in known:
        raise ValueError(
            f"energy is known of cell libraries and of the iCE40 UP5K, whose current was measured, "
            f"not of the {found.device}; leave out the board or the energy, or take "
            f"{', '.join(known)}"
        )
    return found


def accelerator_mhz(place: Board, wanted: float | None = None) -> float:
    """The rate that an accelerator runs at on this board: as `hw.boards` builds it, or, of those
    that its PLL makes, what is nearest to the one wanted. ValueError when none is within 2 %."""
    kind = hw.boards.BOARDS.get(place.name)
    if wanted is None:
        return kind.usual_mhz if kind else place.clock_mhz
    if wanted == place.clock_mhz:
        return wanted
    return find_clock(place.target, place.clock_mhz, wanted).mhz


def board(name: str, fitting: Iterable[str] = BOARDS) -> Board:
    """ValueError for a board that is not known, which names those that fit."""
    if name not in BOARDS:
        raise ValueError(f"board must be one of {', '.join(fitting)}, not {name!r}")
    return BOARDS[name]
