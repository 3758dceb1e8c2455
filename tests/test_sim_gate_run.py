import json
import re
import shutil
from collections import Counter

import numpy as np
import pytest

from hw.choices import BUILT_IN_LIBRARY, candidates
from hw.config import ArrayConfig
from hw.liberty import read_library
from hw.netlist import read_netlist
from hw.schedule import Schedule
from hw.synth import synthesize
from hw.weight_schedule import WeightSchedule
from sim.blocks import blocks
from sim.gate_run import check_memory, measure
from sim.stream import fill_cycles
from sim.workload import MatrixForm, array_sums

ADDER = ArrayConfig(width=4, rows=2, cols=3, lanes=2, depth=16)
MAC = ArrayConfig(pe="mac", width=4, rows=2, cols=2, depth=12)
MIN = ArrayConfig(pe="min", width=4, rows=2, cols=3, lanes=2, depth=16)
WARM_UP = 5  # rows + cols of ADDER


@pytest.fixture(scope="module")
def library():
    return read_library(BUILT_IN_LIBRARY)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory, library):
    """(config, multiplier) to the folder with its netlist; each made once."""
    made = {}

    def folder_of(config, multiplier=None):
        if (config, multiplier) not in made:
            made[config, multiplier] = tmp_path_factory.mktemp("mapped")
            synthesize(config, "asic", made[config, multiplier], multiplier)
        return made[config, multiplier]

    return folder_of


def forms_of(config, shapes, seed=0):
    """Random forms, whose operands are mostly at the ends of their ranges."""
    rng = np.random.default_rng(seed)
    low = -(2 ** (config.width - 1)) if config.weight_signed else 0
    top = 2**config.width - 1
    for m, k, n in shapes:
        a = rng.choice([0, top, *range(top + 1)], (m, k))
        w = rng.choice([low, low + top, *range(low, low + top + 1)], (n, k))
        sums = array_sums(config, a, w)
        yield MatrixForm(name="random", activations=a, weights=w, sums=sums)


ODD = [(5, 7, 4), (1, 16, 1), (9, 2, 7), (4, 16, 6)]
FULL = [(24, 16, 3)]


def run(config, folder, library, shapes, **options):
    netlist = read_netlist(folder / "netlist.json", library)
    return measure(config, netlist, forms_of(config, shapes), **options)


def stream_cycles(config, shapes):
    """Operands of all forms, and after each the cycles in which the array runs empty."""
    schedules = [Schedule(shape=shape, config=config) for shape in shapes]
    periods = [(np.prod(schedule.tiles) - 1) * schedule.period for schedule in schedules]
    ends = [int(p) + s.steps for p, s in zip(periods, schedules, strict=True)]
    return sum(ends) + sum(schedule.empty_cycles for schedule in schedules)


@pytest.mark.slow
def test_every_sum_of_an_adder_netlist_is_right_and_compared(mapped, library):
    cycles = stream_cycles(ADDER, ODD)
    result = run(ADDER, mapped(ADDER), library, ODD, windows=1, cycles=cycles)
    assert (result.compared, result.mismatches) == (sum(m * n for m, _, n in ODD), 0)
    assert result.energy.cycles == cycles - WARM_UP
    assert result.energy.activity == "zero-delay"


@pytest.mark.slow
def test_sums_of_a_pipelined_netlist_are_due_as_many_cycles_later(mapped, library):
    config = ArrayConfig(width=3, rows=2, cols=2, depth=9, pipeline=4)
    shapes = [(5, 9, 3), (3, 4, 2)]
    cycles = stream_cycles(config, shapes)
    result = run(config, mapped(config), library, shapes, windows=1, cycles=cycles)
    assert (result.compared, result.mismatches) == (5 * 3 + 3 * 2, 0)
    assert result.energy.cycles == cycles - (2 + 2 + 4)


@pytest.mark.slow
def test_rows_of_several_groups_of_the_bus_are_due_one_cycle_later(mapped, library):
    config = ArrayConfig(width=2, rows=5, cols=2, depth=7)
    shapes = [(11, 7, 3), (6, 2, 2)]
    cycles = stream_cycles(config, shapes)
    result = run(config, mapped(config), library, shapes, windows=1, cycles=cycles)
    assert (result.compared, result.mismatches) == (11 * 3 + 6 * 2, 0)


@pytest.mark.slow
@pytest.mark.parametrize("multiplier", candidates("mac", "asic"))
def test_every_sum_of_a_mac_netlist_is_right_with_every_multiplier(mapped, library, multiplier):
    shapes = [(40, 12, 5), (7, 5, 3), (6, 1, 9)]
    result = run(MAC, mapped(MAC, multiplier), library, shapes, windows=20, cycles=60)
    assert result.compared > 300
    assert result.mismatches == 0


@pytest.mark.slow
def test_an_array_without_gaps_does_an_operation_in_every_pe_lane_and_cycle(mapped, library):
    schedule = Schedule(shape=FULL[0], config=ADDER)
    assert schedule.steps == schedule.period == 8 and schedule.tiles == (12, 1)
    result = run(ADDER, mapped(ADDER), library, FULL, windows=10, cycles=16)
    assert result.energy.operations == 10 * (16 - WARM_UP) * 2 * 3 * 2
    assert result.energy.cycles == 10 * (16 - WARM_UP)
    assert result.compared == 10 * 2 * 3  # the second tile's rows come after the window


@pytest.mark.slow
def test_operations_of_forms_with_gaps_are_the_products_less_those_of_the_warm_up(mapped, library):
    cycles = stream_cycles(ADDER, ODD)
    result = run(ADDER, mapped(ADDER), library, ODD, windows=1, cycles=cycles)
    m, k, n = ODD[0]
    early = 0
    for r, c, cycle, lane in np.ndindex(ADDER.rows, ADDER.cols, WARM_UP, ADDER.lanes):
        entered = cycle - r - c
        period = Schedule(shape=ODD[0], config=ADDER).period
        tile, step = divmod(entered, period)
        useful = r + tile * ADDER.rows < m and c < n and step * ADDER.lanes + lane < k
        early += entered >= 0 and useful
    assert result.energy.operations == sum(m * k * n for m, k, n in ODD) - early


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pe", "style"),
    [
        ("complement", "half-adders"),
        ("complement", "fast"),
        ("complement", "lookahead"),
        ("mac", "half-adders"),
        ("mac", "fast"),
        ("xnor", "fast"),
    ],
)
def test_every_sum_is_right_however_additions_became_cells(tmp_path, library, pe, style):
    config = ArrayConfig(width=3, rows=2, cols=2, lanes=2, depth=9).twin(pe)
    synthesize(config, "asic", tmp_path, style=style, clock_mhz=400.0)
    result = run(config, tmp_path, library, [(9, 9, 3), (4, 5, 2)], windows=1, cycles=10**6)
    assert (result.compared, result.mismatches) == (9 * 3 + 4 * 2, 0)


STAYS = ArrayConfig(
    width=3, rows=2, cols=3, lanes=2, depth=16, dataflow="weight-stationary", positions=6
)


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["complement", "mac"])
@pytest.mark.parametrize("windows", [1, 7])
def test_every_sum_of_a_netlist_whose_weights_stay_is_right(mapped, library, pe, windows):
    """Blocks of 6 outputs: the second window starts with a block's weights, in the last pass of the
    block before."""
    config = STAYS.twin(pe)
    cycles = sum(WeightSchedule(shape=s, config=config).cycles for s in ODD)
    whole = run(config, mapped(config), library, ODD, windows=1, cycles=10**6)
    assert (whole.compared, whole.mismatches) == (sum(m * n for m, _, n in ODD), 0)
    assert whole.energy.cycles > cycles - 2 * (2 * 2 + 3 + 1)
    parts = run(config, mapped(config), library, ODD, windows=windows, cycles=60)
    assert parts.compared > 0 == parts.mismatches
    assert sum(parts.energy.blocks.values()) == pytest.approx(parts.energy.pj_per_op)
    assert {"PEs", "fold memory"} <= set(parts.energy.blocks)


@pytest.mark.slow
def test_operations_of_an_array_whose_weights_stay_are_the_products(mapped, library):
    """All after the filling, in which the first block's activations have come to some PEs."""
    shape = (40, 4, 3)  # one fold, one tile of filters, blocks of 6 outputs and one of 4
    result = run(STAYS, mapped(STAYS), library, [shape], windows=1, cycles=10**6)
    early = sum(
        2 * max(0, fill_cycles(STAYS) - (STAYS.rows + 1) - r - c)
        for r in range(STAYS.rows)
        for c in range(STAYS.cols)
    )
    assert result.energy.operations == 40 * 4 * 3 - early


def test_a_large_memory_of_flip_flops_is_refused():
    config = ArrayConfig(rows=2, cols=2, depth=64, dataflow="weight-stationary")
    message = (
        "positions must be at most 292 for a gate-level run of this weight-stationary array, w"
    )
    with pytest.raises(ValueError, match=f"^{message}"):
        check_memory(config)


@pytest.mark.slow
def test_the_parts_add_up_to_the_energy_per_operation(mapped, library):
    energy = run(ADDER, mapped(ADDER), library, FULL, windows=3, cycles=40).energy
    assert energy.parts.keys() == {"flip_flops", "clock", "logic", "leakage"}
    assert min(energy.parts.values()) > 0
    assert sum(energy.parts.values()) == pytest.approx(energy.pj_per_op)
    assert energy.glitch_share is None


needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("config", "multiplier"), [(ADDER, None), (MAC, "booth-tree")])
def test_with_gate_delays_sums_are_the_same_and_glitches_cost_more(
    mapped, library, config, multiplier
):
    shapes = [(24, config.depth, 3)]
    options = {"windows": 3, "cycles": 40}
    still = run(config, mapped(config, multiplier), library, shapes, **options)
    moving = run(
        config, mapped(config, multiplier), library, shapes, activity="gate-delay", **options
    )
    assert (moving.compared, moving.mismatches) == (still.compared, 0) and still.compared > 0
    assert moving.energy.activity == "gate-delay" and moving.zero_delay == still.energy
    assert 0.02 < moving.energy.glitch_share < 0.6
    share = 1 - still.energy.transitions / moving.energy.transitions
    assert moving.energy.glitch_share == pytest.approx(share)
    assert moving.energy.parts["clock"] == pytest.approx(still.energy.parts["clock"])
    assert moving.longest_path_ns > 1


@pytest.mark.slow
def test_every_block_has_its_energy_and_they_add_up(mapped, library):
    energy = run(ADDER, mapped(ADDER), library, FULL, windows=3, cycles=40).energy
    assert energy.blocks.keys() == {"PEs", "skew registers", "result bus", "input ports"}
    assert sum(energy.blocks.values()) == pytest.approx(energy.pj_per_op)
    assert energy.blocks["PEs"] == max(energy.blocks.values())
    rows = run(MIN, mapped(MIN), library, FULL, windows=3, cycles=40).energy
    assert rows.blocks["row sums"] > 0


@pytest.mark.slow
def test_every_skew_register_is_one_of_a_pe_less_operand_and_row_or_column(mapped, library):
    """Row r and column c have r and c cycles of operands, and each row but the first `last`."""
    netlist = read_netlist(mapped(ADDER) / "netlist.json", library)
    names = [name for some in blocks(netlist).values() for name in some]
    operand = ADDER.width * ADDER.lanes
    assert names.count("skew registers") == operand * (1 + (1 + 2)) + (ADDER.rows - 1)


@pytest.mark.slow
def test_an_unknown_kind_of_activity_is_refused(mapped, library):
    with pytest.raises(
        ValueError, match=r"^activity must be one of gate-delay, zero-delay, not 'x'$"
    ):
        run(ADDER, mapped(ADDER), library, FULL, activity="x")


@pytest.mark.slow
def test_idle_operands_cost_less_than_busy_ones(mapped, library):
    netlist = read_netlist(mapped(ADDER) / "netlist.json", library)
    still = np.full((24, 16), 9), np.full((3, 16), 9)
    form = MatrixForm(
        name="still", activations=still[0], weights=still[1], sums=np.zeros((24, 3), int)
    )
    options = {"windows": 3, "cycles": 40}
    quiet = measure(ADDER, netlist, [form], **options)
    busy = measure(ADDER, netlist, forms_of(ADDER, FULL), **options)
    assert quiet.mismatches == 0 and quiet.energy.operations == busy.energy.operations
    assert quiet.energy.parts["logic"] < busy.energy.parts["logic"] / 5
    assert quiet.energy.parts["clock"] == pytest.approx(busy.energy.parts["clock"])


@pytest.mark.slow
def test_a_slower_clock_adds_leakage_alone(mapped, library):
    options = {"windows": 2, "cycles": 30}
    fast, slow = (
        run(ADDER, mapped(ADDER), library, FULL, clock_mhz=mhz, **options).energy.parts
        for mhz in (100, 50)
    )
    assert slow == fast | {"leakage": pytest.approx(2 * fast["leakage"])}


@pytest.mark.slow
def test_one_altered_gate_gives_mismatches(mapped, library, tmp_path):
    design = json.loads((mapped(ADDER) / "netlist.json").read_text())
    [module] = design["modules"].values()
    kinds = Counter(cell["type"] for cell in module["cells"].values())
    kind, other = next(pair for pair in SWAPS if pair[0] in kinds)
    gate = next(cell for cell in module["cells"].values() if cell["type"] == kind)
    gate["type"] = other
    (tmp_path / "netlist.json").write_text(json.dumps(design))
    result = run(ADDER, tmp_path, library, ODD, windows=4, cycles=60)
    assert 0 < result.mismatches <= result.compared


SWAPS = [("XOR2_X1", "XNOR2_X1"), ("XNOR2_X1", "XOR2_X1"), ("NAND2_X1", "NOR2_X1")]


@pytest.mark.slow
def test_rows_at_a_wrong_time_are_mismatches(mapped, library, tmp_path):
    """The same netlist, but a valid that is always high."""
    design = json.loads((mapped(ADDER) / "netlist.json").read_text())
    [module] = design["modules"].values()
    module["ports"]["valid"]["bits"] = ["1"]
    (tmp_path / "netlist.json").write_text(json.dumps(design))
    result = run(ADDER, tmp_path, library, FULL, windows=1, cycles=96)
    rows_due = 2 * 11  # the twelfth tile's come after the window
    assert result.mismatches == 96 - rows_due


@pytest.mark.slow
def test_the_netlist_of_another_kind_gives_mismatches(mapped, library):
    """An adder and a MAC whose ports are equally wide."""
    adder = ArrayConfig(width=4, rows=2, cols=2, depth=16)
    mac = ArrayConfig(pe="mac", width=4, rows=2, cols=2, depth=1)
    assert adder.acc_width == mac.acc_width
    result = run(adder, mapped(mac), library, [(20, 16, 4)], windows=4, cycles=60)
    assert result.mismatches > result.compared / 2


@pytest.mark.slow
def test_the_netlist_of_another_array_is_refused(mapped, library):
    message = (
        "netlist adderforge_array gives 24 bits of sums, but this complement configuration has 16; "
        "synthesize the configuration again"
    )
    adder = ArrayConfig(width=4, rows=2, cols=2, depth=16)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run(adder, mapped(MAC, "booth"), library, [(20, 12, 4)])


@pytest.mark.slow
@pytest.mark.parametrize(("options", "length"), [({"cycles": 10}, 10), ({}, 1 + 2 + 3)])
def test_windows_too_short_to_fill_the_array_are_refused(mapped, library, options, length):
    message = (
        f"a window of {length} cycles must be longer than twice the {WARM_UP} that fill the array; "
        "give more images"
    )
    shapes = [(1, 2, 1)] if not options else FULL
    with pytest.raises(ValueError, match=f"^{message}$"):
        run(ADDER, mapped(ADDER), library, shapes, **options)
