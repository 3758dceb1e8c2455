"""The demo's report: one dictionary, shown as JSON, as Markdown and as a table."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from hw.config import ArrayConfig
from hw.synth import SynthReport
from hw.tools import tool_versions
from hw.verilog import config_hash
from sim.gate_run import CLOCK_MHZ
from sim.job import FormResult

from .stages import Accuracy, NetlistRun

Row = tuple[str, str, str, str]
HEADINGS = ("", "adder", "MAC twin", "adder / MAC")


def build_report(
    options: dict,
    arrays: list[ArrayConfig],
    accuracies: Sequence[Accuracy],
    simulations: list[list[FormResult]],
    syntheses: list[SynthReport],
    runs: list[NetlistRun],
) -> dict:
    """Everything measured, adder first, then its MAC twin. Accuracies are counts and shares."""
    twins = {}
    for array, accuracy, results, one in zip(arrays, accuracies, simulations, runs, strict=True):
        run = one.run
        twins[array.pe] = {
            "array": array.model_dump() | {"acc_width": array.acc_width},
            "configuration_hash": config_hash(array),
            "accuracy": _accuracy(accuracy),
            "simulation": _simulation(results),
            "synthesis": [asdict(report) for report in syntheses if report.pe == array.pe],
            "energy": asdict(run.energy) | {"clock_mhz": CLOCK_MHZ, "multiplier": one.multiplier},
            "netlist_check": {"compared": run.compared, "mismatches": run.mismatches},
        }
    return {"configuration": options, "tools": tool_versions(), "twins": twins}


def _accuracy(accuracy: Accuracy) -> dict:
    return asdict(accuracy) | {
        "float": accuracy.float_correct / accuracy.images,
        "integer": accuracy.integer_correct / accuracy.images,
    }


def _simulation(results: list[FormResult]) -> dict:
    totals = ("compared", "mismatches", "cycles", "predicted_cycles", "leftover_rows")
    return {name: sum(getattr(result, name) for result in results) for name in totals} | {
        "layers": [asdict(result) for result in results]
    }


def passed(report: dict) -> bool:
    """Whether every sum was right, in RTL and netlist, and every cycle predicted."""
    return all(
        twin["simulation"]["mismatches"] == 0
        and all(
            layer["cycles"] == layer["predicted_cycles"] and layer["leftover_rows"] == 0
            for layer in twin["simulation"]["layers"]
        )
        and twin["netlist_check"]["mismatches"] == 0
        for twin in report["twins"].values()
    )


def rows(report: dict) -> list[Row]:
    """The table's lines: what, adder, MAC, ratio; a figure that was not measured is "–"."""
    adder, mac = report["twins"]["complement"], report["twins"]["mac"]
    table = [
        _accuracy_row("test accuracy, float network", adder, mac, "float"),
        _accuracy_row("test accuracy, integer network", adder, mac, "integer"),
        _simulation_row("sums compared, array against reference", adder, mac, "compared"),
        _simulation_row("… of these wrong", adder, mac, "mismatches"),
        _simulation_row("cycles counted", adder, mac, "cycles"),
        _simulation_row("cycles predicted", adder, mac, "predicted_cycles"),
    ]
    for target, name in (("ice40", "iCE40"), ("ecp5", "ECP5")):
        table += _fpga_rows(name, _of_logic(adder, target), _of_logic(mac, target))
        with_dsp = _synthesis(mac, target, lambda multiplier: multiplier == "dsp")
        table.append(
            (
                f"{name}, MAC on DSP blocks: LUTs + DSPs",
                f"{_of_logic(adder, target)['luts']} + 0",
                f"{with_dsp['luts']} + {with_dsp['dsps']}",
                "–",
            )
        )
    areas = [_of_logic(twin, "asic") for twin in (adder, mac)]
    multiplier = areas[1]["multiplier"]
    table += [
        _row(f"ASIC area, µm² (MAC: {multiplier})", *(a["area_um2"] for a in areas)),
        _row("… of it flip-flops", *(a["sequential_area_um2"] for a in areas)),
        _row("netlist sums compared", *(t["netlist_check"]["compared"] for t in (adder, mac))),
        _row("… of these wrong", *(t["netlist_check"]["mismatches"] for t in (adder, mac))),
    ]
    energies = [twin["energy"] for twin in (adder, mac)]
    label = (
        f"energy per operation, pJ ({energies[0]['activity']}, MAC: {energies[1]['multiplier']})"
    )
    table.append(_row(label, *(energy["pj_per_op"] for energy in energies)))
    for part in energies[0]["parts"]:
        table.append(_row(f"… {part.replace('_', '-')}", *(e["parts"][part] for e in energies)))
    return table


def markdown(report: dict) -> str:
    """The report as Markdown: the table, what it stands for, the tools."""
    configuration, twins = report["configuration"], report["twins"]
    area = _of_logic(twins["mac"], "asic")
    energy = twins["complement"]["energy"]
    table = [HEADINGS, ("---", "--:", "--:", "--:"), *rows(report)]
    lines = ["# AdderForge demo", "", *("| " + " | ".join(row) + " |" for row in table), ""]
    lines += [
        "![what the adder costs, as a share of its MAC twin](report.png)",
        "",
        f"{'Passed' if passed(report) else 'FAILED'}: every accumulator of every layer against "
        "the integer reference, cycles against the prediction, netlists against the reference.",
        "",
        f"- LeNet-5-BN on {configuration['data']}, all layers adder, and its CNN twin; seed "
        f"{configuration['seed']}. {twins['complement']['accuracy']['images']} test images; "
        f"{configuration['images']} of them through the arrays.",
        f"- Array: {configuration['rows']} × {configuration['cols']} PEs, "
        f"{configuration['lanes']} lane(s), {configuration['width']}-bit operands, accumulators "
        + " and ".join(f"{twin['array']['acc_width']} bits ({pe})" for pe, twin in twins.items())
        + ".",
        "- LUTs are LUT4s after Yosys' mapping, on ECP5 with two for each carry cell. On FPGAs PEs "
        "are made by hand of carry cells on both sides (`hw.mapping`), which is smaller than what "
        "Yosys makes. For ASIC the MAC's multiplier is the smallest of those that `hw.choices` "
        "names, and both sides have one tree of full adders over all lanes. The MAC of the energy "
        "is that of its two trees which takes less, and not always the smallest.",
        f"- ASIC: cells of {area['library']}. Energy: {energy['activity']} activity (no glitches) "
        f"of the mapped netlist on the layers' real activations, {energy['cycles']} cycles, "
        f"before placement (no wires); leakage at {energy['clock_mhz']:.0f} MHz.",
        "",
        "| tool | version |",
        "| --- | --- |",
        *(
            f"| {name} | {version or 'not installed'} |"
            for name, version in report["tools"].items()
        ),
    ]
    return "\n".join(lines) + "\n"


def terminal_table(report: dict) -> Table:
    table = Table(title="AdderForge demo", title_justify="left")
    for index, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if index == 0 else "right")
    for row in rows(report):
        table.add_row(*row)
    return table


def _of_logic(twin: dict, target: str) -> dict:
    return _synthesis(twin, target, lambda multiplier: multiplier != "dsp")


def _synthesis(twin: dict, target: str, wanted) -> dict:
    found = [r for r in twin["synthesis"] if r["target"] == target and wanted(r["multiplier"])]
    return found[0]


def _fpga_rows(name: str, adder: dict, mac: dict) -> list[Row]:
    return [
        _row(f"{name} LUTs", adder["luts"], mac["luts"]),
        _row(f"{name} carry cells", adder["carries"], mac["carries"]),
        _row(f"{name} flip-flops", adder["flip_flops"], mac["flip_flops"]),
    ]


def _accuracy_row(label: str, adder: dict, mac: dict, name: str) -> Row:
    shares = [twin["accuracy"][name] for twin in (adder, mac)]
    ratio = f"{100 * (shares[0] - shares[1]):+.2f} points"
    return label, f"{shares[0]:.2%}", f"{shares[1]:.2%}", ratio


def _simulation_row(label: str, adder: dict, mac: dict, name: str) -> Row:
    return _row(label, *(twin["simulation"][name] for twin in (adder, mac)))


def _row(label: str, adder: float | None, mac: float | None) -> Row:
    if adder is None or mac is None:
        return label, _figure(adder), _figure(mac), "–"
    return label, _figure(adder), _figure(mac), f"{adder / mac:.2f}" if mac else "–"


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
