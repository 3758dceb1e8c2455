"""Programs from an external memory: streams, images, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth import ResetInserter, Signal
from amaranth.sim import Simulator

from golden import reference
from hw.accelerator import Accelerator
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.external.axi import PAGE
from hw.external.image import (
    MAGIC,
    hardware_hash,
    image_map,
    program_beats,
    program_image,
)
from hw.formats import hardware_formats
from hw.program import compile_model
from hw.program_hash import program_hash
from sim.generated_models import generated_codes, generated_model

LAYERS = [
    {"out_channels": 5, "kernel": (3, 2), "padding": (1, 1), "pool": (2, 2)},
    {"out_channels": 3, "kernel": (2, 3), "padding": (0, 2), "stride": (2, 3)},
    {"out_channels": 11, "flatten": True},
]


def program_of(
    layers=LAYERS, shape=(1, 7, 5), seed=0, external_width=32, config=None, kind="adder", **values
):
    array = ArrayConfig(
        **{"rows": 2, "cols": 2, "lanes": 2, "depth": 2**14} | values,
        dataflow="weight-stationary",
    )
    model = generated_model(kind, shape, layers, seed=seed)
    made = AcceleratorConfig(array=array, external="weights", external_width=external_width)
    return model, compile_model(model, config or sized(model, made))


class Bench:
    """A source of a program's beats, which are there in `share` of the cycles, and of images.

    answers: (cycle, class) of each of the runs that no reset ended. first: cycle of the first
    image's first word. starved: cycles in which a fold waited for weights."""

    def __init__(self, dut, runs, share=1.0, settle=0):
        self.dut, self.runs, self.settle = dut, runs, settle
        self.rng, self.share = np.random.default_rng(0), share
        self.answers, self.starved, self.first = [], 0, None
        self.reset = Signal()
        simulator = Simulator(ResetInserter(self.reset)(dut))
        simulator.add_clock(1e-6)
        simulator.add_testbench(self._drive)
        simulator.run()

    async def _drive(self, ctx):
        for program, formats, codes, resets_at in self.runs:
            ctx.set(self.reset, 1)
            await ctx.tick()
            ctx.set(self.reset, 0)
            await self._run(ctx, program, formats, codes, resets_at)

    async def _run(self, ctx, program, formats, codes, ends_at):
        tables, weights = program_beats(program, formats)
        words = np.concatenate([program.image_words(image) for image in codes]).tolist()
        image, answer, beats = self.dut.i_image, self.dut.o_class, self.dut.i_program
        sent, at, answers, offered, cycle = 0, 0, [], True, 0
        while len(answers) < len(codes) and cycle != ends_at:
            assert cycle < 100 * program.cycles
            offered = offered or self.rng.random() < self.share
            beat = at if at < len(tables) else len(tables) + (at - len(tables)) % len(weights)
            ctx.set(beats.valid, int(offered))
            if offered:
                ctx.set(beats.payload, [*tables, *weights][beat])
            offers = cycle >= self.settle and sent < len(words)
            ctx.set(image.valid, int(offers))
            if offers:
                ctx.set(image.payload, words[sent])
            ctx.set(answer.ready, 1)
            if ctx.get(answer.valid):
                answers.append((cycle, ctx.get(answer.payload)))
            if offers and ctx.get(image.ready):
                self.first = cycle if sent == 0 else self.first
                sent += 1
            self.starved += ctx.get(self.dut.sequencer.starved)
            if offered and ctx.get(beats.ready):
                at, offered = at + 1, False
            await ctx.tick()
            cycle += 1
        self.answers += answers if ends_at is None else []


def classes(model, codes):
    return reference.run(model, codes)[-1].codes_out.reshape(len(codes), -1).argmax(1).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", [0, 1])
def test_a_program_that_comes_without_pauses_takes_no_cycle_more(pipeline):
    model, program = program_of(pipeline=pipeline)
    codes, dut = generated_codes(model, 2), Accelerator(program)
    bench = Bench(dut, [(program, dut.formats, codes, None)], settle=1000)
    assert [answer for _, answer in bench.answers] == classes(model, codes)
    assert bench.answers[0][0] - bench.first + 1 == program.cycles
    assert bench.answers[1][0] - bench.answers[0][0] == program.interval
    assert bench.starved == 0


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["complement", "mac"])
def test_a_program_that_comes_with_pauses_takes_the_cycles_in_which_it_was_waited_for(pe):
    kind = "mac" if pe == "mac" else "adder"
    model, program = program_of(kind=kind, pe=pe)
    codes, dut = generated_codes(model, 3), Accelerator(program)
    bench = Bench(dut, [(program, dut.formats, codes, None)], share=0.1, settle=1000)
    assert [answer for _, answer in bench.answers] == classes(model, codes)
    assert bench.starved > program.cycles
    assert bench.answers[0][0] - bench.first + 1 < program.cycles + bench.starved


@pytest.mark.slow
@pytest.mark.parametrize("width", [32, 64])
def test_words_of_several_beats_and_beats_wider_than_a_word(width):
    values = {"cols": 4, "lanes": 4} if width == 32 else {}
    model, program = program_of(external_width=width, **values)
    assert program.config.word_beats == (4 if width == 32 else 1)
    codes, dut = generated_codes(model, 1), Accelerator(program)
    bench = Bench(dut, [(program, dut.formats, codes, None)], settle=2000)
    assert [answer for _, answer in bench.answers] == classes(model, codes)
    assert bench.answers[0][0] - bench.first + 1 == program.cycles


@pytest.mark.slow
def test_other_programs_run_on_the_hardware_of_one():
    """Of the same shapes, with fewer layers, with another image, and the first again; resets come
    while tables are loaded, and in mid-image."""
    model, program = program_of()
    dut, runs, wanted = Accelerator(program), [], []
    others = [
        program_of(seed=1, config=program.config),
        program_of([{"out_channels": 6, "flatten": True}], (1, 3, 4), 2, config=program.config),
        program_of(LAYERS[:1] + LAYERS[2:], (1, 6, 5), 3, config=program.config),
        (model, program),
    ]
    for index, (other, runs_now) in enumerate(others):
        codes = generated_codes(other, 2)
        for cycles in (20, 300 + 100 * index):
            runs.append((runs_now, dut.formats, codes, cycles))
        runs.append((runs_now, dut.formats, codes, None))
        wanted += classes(other, codes)
    assert [answer for _, answer in Bench(dut, runs, share=0.5).answers] == wanted


@pytest.mark.parametrize(
    ("layers", "needs"),
    [
        ([*LAYERS, {"out_channels": 3}, {"out_channels": 3}], "5 layers, but the hardware has 4"),
        ([*LAYERS[:2], {"out_channels": 19, "flatten": True}], "10 tiles of the last layer, but"),
        ([LAYERS[0], {"out_channels": 5, "residual": "layer0"}, LAYERS[2]], "1 added maps, but"),
        ([LAYERS[0] | {"out_channels": 80}, LAYERS[2]], "bits of a layer's read_limits, but"),
    ],
)
def test_a_program_that_the_hardware_cannot_run_is_refused(layers, needs):
    _, program = program_of()
    _, other = program_of(layers)
    with pytest.raises(ValueError, match=needs):
        program_image(replace(other, config=program.config), hardware_formats(program))


def test_an_image_says_whose_it_is_and_where_its_words_lie():
    _, program = program_of()
    formats = hardware_formats(program)
    image = program_image(program, formats)
    numbers = np.frombuffer(image[:40], "<u4").tolist()
    assert numbers[:2] == [MAGIC, 1]
    assert f"{numbers[3]:08x}{numbers[2]:08x}" == hardware_hash(formats)
    assert f"{numbers[5]:08x}{numbers[4]:08x}" == program_hash(program)
    tables, weights = program_beats(program, formats)
    assert numbers[6] == len(tables) and numbers[8] == len(weights) == len(program.weights)
    first = PAGE * numbers[7]
    assert image[first : first + 4] == program.weights[0].astype(np.uint8).tobytes()
    assert len(image) == first + 4 * len(weights)
    assert image_map(program, formats).splitlines()[-1].split() == ["end", hex(len(image))]
