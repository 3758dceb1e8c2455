"""Whole accelerators in a space: cycles and memories of their programs, what they cannot run, and
what stands around their arrays."""

import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from adderforge.exploration import levels, measuring
from adderforge.exploration.accelerators import (
    BLOCKS,
    _changing_bits,
    block_rams,
    compiled,
    depth_of,
    memories,
)
from adderforge.exploration.around_model import AroundModel, bare
from adderforge.exploration.build_command import build_command
from adderforge.exploration.calibration import samples_of
from adderforge.exploration.cost_model import CostModel, Sample
from adderforge.exploration.design import Design
from adderforge.exploration.effort import ACCURACY, CLOCK, ENERGY, SYNTHESIS, Effort
from adderforge.exploration.explore import explore
from adderforge.exploration.levels import measure
from adderforge.exploration.space import Space
from adderforge.exploration.store import Measurement
from adderforge.exploration.task import Task
from adderforge.exploration.workloads import of_model
from adderforge.up5k_energy import Up5kEnergy
from golden import model_file
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.program import compile_model
from hw.up5k import LogicEnergy, base_mw
from sim.generated_models import generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER, CNN = FIXTURES / "lenet5-bn-digits-adder.npz", FIXTURES / "lenet5-bn-digits-cnn.npz"
LENET = of_model(ADDER, accelerator=True)
ECP5 = Effort(target="ecp5")
UP5K = Effort(target="ice40", ultraplus=True, images=1, cycles=400)


def design(**values):
    return Design.of(LENET.defaults | {"rows": 2, "cols": 2, "lanes": 4} | values)


@pytest.mark.parametrize("external", ["none", "weights", "maps"])
def test_cycles_are_those_of_the_compiled_program(external):
    chosen = design(rows=4, external=external, external_width=128)
    model = model_file.load(ADDER)
    config = AcceleratorConfig(
        array=chosen.array, map_width=8, external=external, external_width=128
    )
    program = compile_model(model, sized(model, config))
    figures = LENET.figures(chosen, ECP5)
    assert figures["cycles"] == program.interval
    assert figures["operations"] == program.useful_terms == LENET.operations
    assert figures["utilization"] == program.utilization


def test_a_space_has_parameters_of_accelerators_and_of_quantization():
    space = Space(rows=[2, 4], external=["none", "maps"], activation_words=[512, 2048], groups=2)
    designs = space.designs(**LENET.defaults)
    assert len(designs) == 8 and {one.around.groups for one in designs} == {2}
    assert designs[0].options.endswith("--groups 2 --activation-words 512")
    assert Design.of(designs[3].values) == designs[3]
    (few,) = Space(["activation_words < 9"], activation_words=[8, 16]).designs()
    assert few.value("activation_words") == 8 and few.value("weight_words") is None


def test_a_design_that_leaves_them_open_has_the_values_that_it_always_had():
    assert "external" not in design().values and design().value("external") == "none"


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"external": "tape"}, "external: should be 'none', 'weights' or 'maps', not 'tape'"),
        ({"external_width": 48}, "external_width: should be 32, 64, 128, 256 or 512, not 48"),
        ({"groups": 9}, "groups: should be less than or equal to 4, not 9"),
    ],
)
def test_other_values_are_refused(choices, message):
    with pytest.raises(ValueError) as error:
        Space(**choices)
    assert str(error.value) == message


def test_what_cannot_run_the_network_is_a_failed_point_with_its_reason():
    space = Space(rows=2, cols=2, lanes=4, activation_words=[64, 4096])
    found = explore(space, LENET, ["cycles", "memory_kbits"])
    small, enough = found.points
    assert "needs 1092 activation_words, but the accelerator has 64" in small.failures[0]
    assert found.front == (enough,)
    with pytest.raises(ValueError, match="none of 1 designs runs the network; the first: lenet5-b"):
        explore(Space(rows=2, activation_words=64, lanes=4), LENET, ["cycles"])


def test_the_command_that_makes_one_again_gives_the_sizes_of_its_memories():
    found = explore(Space(rows=2, cols=2, lanes=4, activation_words=4096), LENET, ["cycles"])
    command = build_command(found.front[0], found.workload, found.effort)
    config = compiled(model_file.load(ADDER), found.front[0].design).config
    sizes = f"--weight-words {config.weight_words} --constant-words {config.constant_words}"
    assert command.startswith(f"adderforge ip --model {ADDER} --config designs/")
    assert command.endswith(f".toml --activation-words 4096 {sizes}")


def test_memories_are_counted_word_by_word():
    program = compiled(model_file.load(ADDER), design(rows=4, cols=4))
    sizes = memories(program)
    weights = sum(layer.weight_words for layer in program.layers)
    assert sizes["weights"] == (weights, 4 * 4 * 8) == (len(program.weights), 128)
    assert sizes["activations"] == (1092, 16 * 8)
    assert sizes["folds"] == (784, 4 * program.config.array.acc_width)
    assert sizes["pooling"] == (14, 4 * 8)
    kbits = sum(words * bits for words, bits in sizes.values()) / 1000
    assert LENET.figures(design(rows=4, cols=4), ECP5)["memory_kbits"] == kbits


def test_a_memory_takes_blocks_of_the_shape_of_which_it_takes_fewest():
    assert block_rams({"one": (256, 16)}, "ice40") == 1
    assert block_rams({"one": (512, 72)}, "ecp5") == 2
    assert block_rams({"one": (1025, 18)}, "ecp5") == 2
    assert block_rams({"one": (2048, 9), "other": (1, 1)}, "gowin") == 2
    for shapes in BLOCKS.values():
        bits = [wide * deep for wide, deep in shapes.items()]
        assert max(bits) <= 1.13 * min(bits)  # parity bits, an eighth, are not in all shapes


def test_weights_in_single_port_ram_take_no_block_ram():
    ice40, up5k = Effort(target="ice40"), Effort(target="ice40", ultraplus=True)
    chosen = design(rows=4, cols=4, lanes=1, target="ice40")  # its constants become logic
    program = compiled(model_file.load(ADDER), chosen)
    sizes = memories(program)
    written = {n: sizes[n] for n in ("activations", "folds", "pooling")}
    assert LENET.figures(chosen, up5k)["block_rams"] == block_rams(written, "ice40")
    with_weights = written | {"weights": sizes["weights"]}
    assert LENET.figures(chosen, ice40)["block_rams"] == block_rams(with_weights, "ice40")


def test_block_rams_are_those_that_the_up5k_took_for_its_sums_of_folds():
    """LeNet-5-BN, 4 bits, 6 columns, as docs/decisions/0009-serial-link.md has them."""
    array = design(width=4, rows=3, cols=6, lanes=2).array
    assert block_rams({"folds": (784, 6 * array.acc_width)}, "ice40") == 20


@pytest.mark.parametrize(
    ("sizes", "blocks"), [((2, 2, 3), 15 + 9 + 1 + 7), ((1, 1, 6), 25), ((4, 4, 1), 18 + 17 + 2)]
)
def test_constants_are_in_block_ram_where_yosys_put_them(sizes, blocks):
    """As its netlists for the UP5K had them: maps, sums of folds, pooling, and 7 of constants."""
    rows, cols, lanes = sizes
    chosen = design(rows=rows, cols=cols, lanes=lanes, target="ice40")
    assert LENET.figures(chosen, UP5K)["block_rams"] == blocks


def test_bits_that_all_words_share_are_not_counted():
    numbers = np.array([[4, -1], [6, 3], [4, 0]])
    assert _changing_bits(numbers[:, :1], 4) == 1  # 0100, 0110, 0100
    assert _changing_bits(numbers[:, 1:], 3) == 3  # 111, 011, 000
    assert _changing_bits(numbers, 5) == 1 + 5
    assert _changing_bits(np.full((5, 2), -7), 9) == 0


@pytest.mark.parametrize("path", [ADDER, CNN])
def test_the_least_depth_holds_every_sum(path):
    """Also of ordinary layers, which take several passes of an adder array."""
    model = model_file.load(path)
    array = design().array
    depth = depth_of(model, array)
    compiled(model, design(depth=depth))
    with pytest.raises(ValueError, match="set depth to at least"):
        compiled(model, design(depth=depth // 2))


def around(chosen, noise=0.0):
    array = chosen.array
    rest = 900 + 30 * array.cols * array.acc_width
    return rest * (1 + random.Random(str(chosen.values)).uniform(-noise, noise))


class Arrays:
    """Guesses 10 LUTs a product."""

    def guess(self, designs, place):
        assert place == "ecp5"
        for chosen in designs:
            array = chosen.array
            assert array.positions == 16  # a larger memory is of block RAM
            yield {"luts": 10.0 * array.rows * array.cols * array.lanes}, {"luts": 0.5}


def model(count, noise=0.0):
    rng = random.Random(1)
    designs = [
        design(**{name: rng.choice((1, 2, 4, 8)) for name in ("rows", "cols", "lanes")})
        for _ in range(count)
    ]
    guesses = [figures["luts"] for figures, _ in Arrays().guess(map(bare, designs), "ecp5")]
    samples = [
        Sample(
            figure="luts",
            place="ecp5",
            design=one,
            value=array + around(one, noise),
            accelerator=True,
        )
        for one, array in zip(designs, guesses, strict=True)
    ]
    return AroundModel(samples, Arrays()), samples


def test_an_accelerator_is_its_array_and_what_stands_around_it():
    chosen = design(rows=6, cols=6, lanes=4)
    ((figures, errors),) = model(12)[0].guess([chosen], ECP5)
    assert figures["luts"] == pytest.approx(1440 + around(chosen), rel=1e-3)
    assert errors["luts"] < 1e-3


def test_the_energy_of_a_cycle_is_guessed_without_a_guess_of_the_array():
    def energy(chosen):
        array = chosen.array
        bits = array.rows * array.cols * array.lanes * array.width
        return 50 + 0.5 * array.cols * array.acc_width + 0.2 * bits

    _, samples = model(12)
    samples = [
        replace(sample, figure="pj_per_cycle", value=energy(sample.design)) for sample in samples
    ]
    chosen = design(rows=6, cols=6, lanes=4)
    ((figures, errors),) = AroundModel(samples, Arrays()).guess([chosen], ECP5)
    assert figures["pj_per_cycle"] == pytest.approx(energy(chosen), rel=1e-3)
    assert errors["pj_per_cycle"] < 1e-3 and "luts" not in figures
    other = replace(chosen, array=chosen.array.model_copy(update={"pe": "xnor", "width": 1}))
    assert AroundModel(samples, Arrays()).guess([other], ECP5) == [({}, {})]


def test_the_stated_error_is_that_of_whole_accelerators_left_out():
    found, samples = model(12, noise=0.3)
    (fit,) = found.fits.values()
    errors = []
    for index, sample in enumerate(samples):
        others = AroundModel(samples[:index] + samples[index + 1 :], Arrays())
        ((figures, _),) = others.guess([sample.design], ECP5)
        errors.append(abs(figures["luts"] / sample.value - 1))
    assert fit.largest_error == pytest.approx(max(errors), rel=1e-6) and fit.largest_error > 0.01


def test_other_places_other_memories_and_few_samples_give_no_guess():
    found, _ = model(12)
    for effort, chosen in (
        (Effort(target="ecp5"), design(external="maps")),
        (Effort(target="ecp5"), design(requantize="shift")),
        (Effort(target="ecp5"), design().requantized("shift")),
    ):
        assert found.guess([chosen], effort) == [({}, {})]
    (guess,) = found.guess([design()], ECP5)
    assert found.guess([design(requantize="multiply")], ECP5) == [guess] != [({}, {})]
    assert found.knows(ECP5, "multiply") and not found.knows(ECP5, "shift")
    assert not model(3)[0].fits


def test_a_network_that_shifts_is_not_guessed_by_those_that_multiply(tmp_path):
    layers = [{"out_channels": 4, "kernel": (2, 2)}, {"out_channels": 6, "flatten": True}]
    for requantize in ("multiply", "shift"):
        made = generated_model("adder", (1, 6, 5), layers, 8, requantize)
        model_file.save(made, tmp_path / "model.npz")
        workload = of_model(tmp_path / "model.npz", accelerator=True)
        (point,) = explore(Space(rows=2, cols=2), workload, ["cycles"], effort=ECP5).points
        assert ("luts" in point.errors) == (requantize == "multiply")


@pytest.mark.parametrize("requantize", ["multiply", "shift"])
def test_what_is_measured_teaches_those_of_its_requantizer(monkeypatch, tmp_path, requantize):
    layers = [{"out_channels": 4, "kernel": (2, 2)}, {"out_channels": 6, "flatten": True}]
    made = generated_model("adder", (1, 6, 5), layers, 8, requantize)
    model_file.save(made, tmp_path / "model.npz")
    workload = of_model(tmp_path / "model.npz", accelerator=True)
    monkeypatch.setitem(levels._measures, SYNTHESIS, lambda task, folder: {"luts": 900})
    chosen = design()
    found = measure(Task(level=SYNTHESIS, design=chosen, workload=workload, effort=ECP5))
    (sample,) = samples_of(found)
    assert sample.design == chosen.requantized(requantize)


def test_accelerators_do_not_teach_the_model_of_arrays():
    _, samples = model(12)
    assert not CostModel(samples).fits
    assert CostModel([replace(sample, accelerator=False) for sample in samples * 2]).fits


def test_results_follow_from_the_network_and_from_its_quantization():
    def key(level, workload=LENET, **values):
        return Task(level=level, design=design(**values), workload=workload, effort=ECP5).subject

    arrays = replace(LENET, accelerator=False)
    assert key(SYNTHESIS) != key(SYNTHESIS, arrays)
    assert key(SYNTHESIS).of["network"] and "network" not in key(SYNTHESIS, arrays).of
    assert key(ACCURACY) == key(ACCURACY, arrays) == key(ACCURACY, weight_words=9999)
    assert key(ACCURACY) != key(ACCURACY, requantize="shift") != key(ACCURACY, groups=2)


@pytest.mark.parametrize(
    ("level", "message"),
    [(CLOCK, "clock rates of whole accelerators on FPGAs"), (ENERGY, "energy is of cell libr")],
)
def test_levels_that_no_tool_can_measure_are_refused(level, message):
    goal = {CLOCK: "fmax_mhz", ENERGY: "pj_per_op"}[level]
    with pytest.raises(ValueError, match=message):
        explore(Space(rows=2), LENET, [goal], level, effort=ECP5)


def test_accuracies_are_of_the_recipe(monkeypatch):
    made = []

    def fixed(task):
        made.append(task.design.around)
        figures = {"accuracy": 0.9 if task.design.around.requantize == "shift" else 0.8}
        return Measurement(subject=task.subject, design=task.design.values, figures=figures)

    class Here:
        def submit(self, function, *values):
            from concurrent.futures import Future

            future = Future()
            future.set_result(function(*values))
            return future

    monkeypatch.setattr(measuring, "measure", fixed)
    rule = "requantize == 'shift' and rows == 2 or requantize == 'multiply' and rows >= 4"
    space = Space([rule], rows=[2, 4, 8], lanes=4, cols=2, requantize=["multiply", "shift"])
    workload = replace(LENET, accelerator=False)
    found = explore(space, workload, ["accuracy", "cycles"], ACCURACY, Here())
    assert len(made) == 2
    assert {p.figures["accuracy"]: p.design.around.requantize for p in found.points} == {
        0.8: "multiply",
        0.9: "shift",
    }


def test_accelerators_with_an_external_memory_are_not_measured_but_say_so():
    chosen = design(external="maps")
    task = Task(level=SYNTHESIS, design=chosen, workload=LENET, effort=ECP5)
    assert "with an external memory are counted, not measured" in measure(task).reason


def test_the_energy_of_products_on_a_board_is_not_known_and_says_so():
    workload = of_model(CNN, accelerator=True)
    chosen = Design.of(workload.defaults | {"pe": "mac", "depth": 400})
    task = Task(level=ENERGY, design=chosen, workload=workload, effort=UP5K)
    assert "products of mac PEs are made of multiplier blocks" in measure(task).reason


@pytest.mark.parametrize("wrong", [0, 3])
def test_an_accelerator_in_a_up5k_draws_what_its_cycles_and_its_operations_share(
    monkeypatch, wrong
):
    asked = {}

    def simulated(program, codes, counts, **how):
        asked.update(how, images=len(codes), cycles=counts.cycles)
        logic = LogicEnergy(transitions=80.0, clock=20.0)
        return Up5kEnergy(
            design=SimpleNamespace(program=program),
            logic=logic,
            zero_delay=replace(logic, transitions=60.0),
            batches=[1.0],
            memories={"weights": 50e-6 * program.interval},
            recording=SimpleNamespace(compared=9, mismatches=wrong),
        )

    monkeypatch.setattr("adderforge.up5k_energy.measure_up5k", simulated)
    monkeypatch.setattr("sim.events.prepare", lambda: None)
    chosen = design(rows=2, cols=2, lanes=2, target="ice40")
    found = measure(Task(level=ENERGY, design=chosen, workload=LENET, effort=UP5K))
    assert (asked["images"], asked["cycles"], asked["spram"]) == (1, 400, True)
    if wrong:
        assert found.reason == "3 of 9 values are wrong"
        return
    program = compiled(LENET.model(chosen), chosen)
    cycle_pj = 150 + base_mw(12.0, pll=False) / 12.0 * 1e3
    of_operation = cycle_pj * program.interval / program.useful_terms
    figures = {"pj_per_cycle": 150, "pj_per_op": of_operation, "glitch_share": 0.25}
    assert found.figures == pytest.approx(figures)


@pytest.mark.slow
def test_an_accelerator_is_synthesized_with_all_that_stands_around_its_array():
    """It takes no more block RAMs than were counted, and not much fewer: Yosys fits a large table
    of weights into fewer blocks than its words and bits need."""
    space, goals = Space(rows=2, cols=2, lanes=1), ["luts", "cycles"]
    (whole,) = explore(space, LENET, goals, SYNTHESIS, effort=ECP5).points
    arrays = replace(LENET, accelerator=False)
    (array,) = explore(space, arrays, goals, SYNTHESIS, effort=ECP5).points
    assert not whole.failures and not array.failures
    assert whole.figures["luts"] > 1.5 * array.figures["luts"]
    counted = LENET.figures(whole.design, ECP5)["block_rams"]
    assert 0.9 * counted <= whole.figures["block_rams"] <= counted
    assert whole.figures["block_rams"] > array.figures["block_rams"]
