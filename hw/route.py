"""Place and route with nextpnr: the clock rate of a PE or an array, over several seeds.

What is timed stands between registers: a probe shifts operands in through one pin, and takes every
output into a register, behind one LUT as in the array, that shifts towards another pin.
"""

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from .best import best_multiplier
from .choices import check
from .collateral import ports
from .config import ArrayConfig
from .fabric import FABRICS, Router
from .synth import map_design
from .tools import ToolError, failed, installed, tool_versions, version_of
from .verilog import PE, TOP, array_verilog, pe_verilog
from .yowasp import for_each, yowasp

PROBE = "adderforge_probe"
ROUTED = tuple(name for name, fabric in FABRICS.items() if fabric.router)
GOAL_MHZ = 400  # more than can be reached: the placer goes on to work for speed
REGISTER, PIN = "register", "pin"


@dataclass(frozen=True, kw_only=True)
class RouteReport:
    """Clock rates after place and route, one for each seed, and the cells used with the last one,
    the probe's included. spread_mhz: the highest less the lowest. paths_ns: the longest path of all
    seeds from register to register, which alone sets the clock rate, pin to register, register
    to pin and pin to pin, by such names; the probe's pins lead to nothing but its registers.
    tools: versions, nextpnr's under the name of its command."""

    target: str
    part: str
    pe: str
    mapping: str
    seeds: tuple[int, ...]
    fmax_mhz: tuple[float, ...]
    median_mhz: float
    spread_mhz: float
    paths_ns: dict[str, float]
    resources: dict[str, int]
    tools: dict[str, str | None]

    def to_json(self) -> dict:
        return asdict(self)


def route(
    config: ArrayConfig,
    target: str,
    folder: Path,
    seeds: Iterable[int] = (1, 2, 3),
    part: Literal["pe", "array"] = "array",
    multiplier: str | None = None,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> RouteReport:
    """Synthesize, place and route one PE or the array; everything is left in `folder`.

    target: "ice40" (HX8K), "ecp5" (85K, speed grade 6) or "gowin" (GW2AR-18, I7). multiplier: one
    of `hw.choices.candidates`; by default the smallest. progress: called with (seeds done, seeds).
    ValueError for unknown names or no seed, ToolError when a tool is missing or fails, or when it
    knows no delays of cells that are there.
    """
    seeds = tuple(seeds)
    if not seeds:
        raise ValueError("seeds must be at least one, not none")
    check_route(config, target, part, multiplier)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = multiplier or best_multiplier(config, target, folder / "candidates")
    router = FABRICS[target].router
    text = probe_verilog(config, part, router.pads)
    map_design(text, target, folder, chosen, PROBE)
    _check_timed(router, folder)
    if router.pins:
        name, places = router.pins
        (folder / name).write_text(places, encoding="utf-8")
    done = for_each(
        seeds,
        lambda seed: _place_and_route(router, folder, seed),
        lambda _, done, count: progress(done, count),
    )
    reports = list(done.values())
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
        paths_ns=_longest_paths(reports),
        resources={name: count for name, count in used.items() if count},
        tools=tool_versions() | {router.command: version_of(router.command)},
    )


def check_route(config: ArrayConfig, target: str, part: str, multiplier: str | None) -> None:
    """ValueError when that cannot be routed, ToolError when nextpnr is not installed."""
    if target not in ROUTED:
        raise ValueError(f"target must be one of {', '.join(ROUTED)} to be routed, not {target!r}")
    if part == "pe" and config.dataflow != "output-stationary":
        raise ValueError(
            f"dataflow must be 'output-stationary' to route one PE, not {config.dataflow!r}; "
            "route the array"
        )
    check(config, target, multiplier)
    router = FABRICS[target].router
    if not installed(router.command):
        raise ToolError(
            f"{router.command}: not installed; run 'pip install adderforge[{router.extra}]'"
        )


def _check_timed(router: Router, folder: Path) -> None:
    """ToolError when paths would be left out."""
    stat = json.loads((folder / "stat.json").read_text(encoding="utf-8"))["design"]
    if left_out := sorted(
        name for name in stat["num_cells_by_type"] if name.startswith(router.untimed)
    ):
        raise ToolError(
            f"{router.command} must know the delays of all cells for a clock rate, but has none of "
            f"{', '.join(left_out)}; leave routing out, or take a design without them"
        )


def probe_verilog(
    config: ArrayConfig, part: Literal["pe", "array"], pads: tuple[str, str] | None = None
) -> str:
    """Verilog of one PE or the array with the probe around it, top module `adderforge_probe`.
    pads: cells for an input (I, O) and an output, if its pins must have them."""
    lanes, width = config.lanes, config.width
    if part == "pe":
        text, module = pe_verilog(config), PE
        flags = ("rst", "clear", "last") if config.sum_loaded else ("rst", "last")
        inputs = dict.fromkeys(flags, 1) | {"a": lanes * width, "w": lanes * width}
        outputs = {
            "sum": config.pe_acc_width,
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
    probe = f"{PROBE}_inside" if pads else PROBE
    return f"""{text}
module {probe}(input clk, serial_in, output serial_out);
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
{_padded(probe, *pads) if pads else ""}"""


def _padded(probe: str, into: str, out: str) -> str:
    return f"""
module {PROBE}(input clk, serial_in, output serial_out);
  wire from_clk, from_pin, to_pin;
  {into} clk_pad(.I(clk), .O(from_clk));
  {into} in_pad(.I(serial_in), .O(from_pin));
  {out} out_pad(.I(to_pin), .O(serial_out));
  {probe} inside(from_clk, from_pin, to_pin);
endmodule
"""


def _connections(widths: dict[str, int], bus: str) -> str:
    lines, low = [], 0
    for name, width in widths.items():
        lines.append(f".{name}({bus}[{low + width - 1}:{low}])")
        low += width
    return ",\n    ".join(lines)


def _place_and_route(router: Router, folder: Path, seed: int) -> dict:
    """nextpnr's report of one run."""
    name = f"route-{seed}"
    arguments = [*router.device, "--quiet", "--timing-allow-fail"]
    arguments += ["--json", "netlist.json", "--seed", str(seed), "--freq", str(GOAL_MHZ)]
    arguments += ["--report", f"{name}.json"]
    log = folder / f"{name}.log"
    yowasp(router.command, arguments, folder, log)
    try:
        return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise failed("nextpnr gave no report", log) from None


def _fmax(report: dict) -> float:
    """The clock rate of the only clock."""
    (clock,) = report["fmax"].values()
    return round(clock["achieved"], 2)


def _longest_paths(reports: list[dict]) -> dict[str, float]:
    """The longest delay of each class of paths in nextpnr's reports."""
    longest: dict[str, float] = {}
    for path in (path for report in reports for path in report["critical_paths"]):
        name = f"{_end(path['from'])} to {_end(path['to'])}"
        delay = round(sum(part["delay"] for part in path["path"]), 3)
        longest[name] = max(delay, longest.get(name, 0.0))
    return longest


def _end(clock: str) -> str:
    return PIN if clock == "<async>" else REGISTER
