"""The accelerator in Amaranth's simulator: every layer's map, every answer, every cycle."""

from pathlib import Path

import numpy as np
import pytest
from amaranth import Const, Module, ResetInserter, Signal
from amaranth.lib.data import ArrayLayout
from amaranth.sim import Simulator

from golden import reference
from golden.spec import Pool
from hw.accelerator import Accelerator
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.formats import hardware_formats
from hw.interpreter import stored_map
from hw.layer_table import layer_values
from hw.operands import operands
from hw.program import compile_model
from sim.generated_models import generated_codes, generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"

PE = {"adder": "complement", "mac": "mac", "xnor": "xnor"}
ALWAYS = np.ones(1, bool)


class Bench:
    """Source, sink and monitor of an accelerator. offered, taken: whether a word is offered, and
    an answer taken, in each cycle, over and over. reset_at: cycle of a reset, after which the
    images start anew.

    answers: (cycle, class) of each. images: cycle of each image's first word. maps: of every layer
    that was stored, in order."""

    def __init__(self, program, codes, offered=ALWAYS, taken=ALWAYS, reset_at=None, count=None):
        self.program = program
        self.words = np.concatenate([program.image_words(image) for image in codes]).tolist()
        self.offered, self.taken, self.reset_at = offered, taken, reset_at
        self.count = len(codes) if count is None else count
        self.answers, self.images, self.maps = [], [], []
        self._memory = np.zeros(
            (program.config.activation_words, program.config.channels), np.int64
        )
        self._run()

    def _run(self):
        self.dut, self.reset = Accelerator(self.program), Signal()
        simulator = Simulator(ResetInserter(self.reset)(self.dut))
        simulator.add_clock(1e-6)
        simulator.add_testbench(self._drive)
        simulator.run()

    async def _drive(self, ctx):
        await ctx.tick().repeat(self.program.config.drain)  # what a reset takes
        image, answer, cycle, sent = self.dut.i_image, self.dut.o_class, 0, 0
        limit = 3 * self.count * self.program.cycles * int(1 / self.taken.mean() + 1) + 200
        while len(self.answers) < self.count:
            assert cycle < limit
            offers = sent < len(self.words) and self.offered[cycle % len(self.offered)]
            ctx.set(image.valid, int(offers))
            if offers:
                ctx.set(image.payload, self.words[sent])
            ctx.set(answer.ready, int(self.taken[cycle % len(self.taken)]))
            ctx.set(self.reset, cycle == self.reset_at)
            self._monitor(ctx)
            if cycle == self.reset_at:
                self.answers, self.images, self.maps, sent = [], [], [], 0
            else:
                if ctx.get(answer.valid) and ctx.get(answer.ready):
                    self.answers.append((cycle, ctx.get(answer.payload)))
                if offers and ctx.get(image.ready):
                    if sent % self.program.image.words == 0:
                        self.images.append(cycle)
                    sent += 1
            await ctx.tick()
            cycle += 1

    def _monitor(self, ctx):
        """Keep what is written, and take a layer's map when the next one starts."""
        memory, config = self.dut.activations, self.program.config
        parts = ctx.get(memory.write_parts)
        for part in range(config.parts):
            if parts >> part & 1:
                word = ctx.get(memory.write_word)[part]
                width, cols = config.map_width, config.array.cols
                codes = [word >> (width * c) & (2**width - 1) for c in range(cols)]
                address = ctx.get(memory.write_address)
                self._memory[address, part * cols : (part + 1) * cols] = codes
        sequencer = self.dut.sequencer
        if ctx.get(sequencer.load) and not ctx.get(sequencer.idle):
            layer = self.program.layers[len(self.maps) % (len(self.program.layers) - 1)]
            self.maps.append(stored_map(self._memory, layer))


def program_of(
    kind,
    sizes,
    layers,
    in_shape,
    requantize="multiply",
    pe=None,
    width=8,
    pipeline=0,
    **changes,
):
    rows, cols, lanes = sizes
    array = ArrayConfig(
        pe=pe or PE[kind],
        width=width,
        rows=rows,
        cols=cols,
        lanes=lanes,
        depth=2**22,
        positions=64,
        pipeline=pipeline,
        dataflow="weight-stationary",
    )
    model = generated_model(kind, in_shape, layers, requantize=requantize, **changes)
    config = AcceleratorConfig(array=array, map_width=8, requantize=requantize)
    return model, compile_model(model, sized(model, config))


def check_maps(model, bench, codes):
    records = reference.run(model, codes)
    maps = iter(bench.maps)
    for image in range(len(codes)):
        for record in records[:-1]:
            np.testing.assert_array_equal(next(maps), record.codes_out[image])
    assert next(maps, None) is None


def check_answers(model, bench, codes):
    wanted = reference.run(model, codes)[-1].codes_out.reshape(len(codes), -1).argmax(1)
    assert [answer for _, answer in bench.answers] == wanted.tolist()


def check(model, program, count=2):
    codes = generated_codes(model, count)
    bench = Bench(program, codes)
    check_maps(model, bench, codes)
    check_answers(model, bench, codes)
    assert bench.answers[0][0] - bench.images[0] + 1 == program.cycles
    assert bench.answers[1][0] - bench.answers[0][0] == program.interval


POOLED = [
    {"out_channels": 5, "kernel": (3, 2), "padding": (1, 1), "pool": (2, 2)},
    {"out_channels": 3, "kernel": (2, 3), "padding": (0, 2), "stride": (2, 3)},
    {"out_channels": 11, "flatten": True},
]
SHARED = [
    {
        **{"out_channels": 5, "kernel": (3, 3), "padding": (1, 1)},
        "pool": Pool(kind="max", kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
    },
    {
        **{"out_channels": 5, "residual": "layer0"},
        "pool": Pool(kind="mean", kernel=(2, 2), stride=(1, 1)),
    },
    {"out_channels": 11, "flatten": True},
]
GROUPS = [
    {"out_channels": 10, "kernel": (2, 2), "padding": (1, 1), "stride": (2, 1)},
    {"out_channels": 7, "kernel": (3, 3), "pool": (1, 2), "padding": (1, 1)},
    {"out_channels": 2, "flatten": True},
]
ADDED = [
    {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "residual": "image"},
    {"out_channels": 9, "kernel": (1, 2), "stride": (2, 2)},
    {
        **{"source": "layer0", "out_channels": 9, "kernel": (3, 3), "padding": (1, 1)},
        **{"stride": (2, 2), "residual": "layer1", "mean": (2, 3)},
    },
    {"out_channels": 9, "residual": "layer2"},
    {"out_channels": 3},
]


ENDS = [
    {"kind": "mac", "out_channels": 3, "kernel": (2, 2)},
    {"out_channels": 3, "kernel": (1, 3), "padding": (0, 1), "residual": "layer0"},
    {"kind": "mac", "out_channels": 3, "flatten": True},
]
NARROW = [
    {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "out_zero_point": 48},
    {
        **{"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "residual": "layer0"},
        **{"width": 4, "drop": (4,), "out_zero_point": 32},
    },
    {"out_channels": 9, "width": 4, "drop": (4,), "out_width": 4, "out_zero_point": 5},
    {"out_channels": 3, "width": 3, "in_width": 4, "flatten": True},
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "sizes", "pe", "width"),
    [
        ("adder", (2, 2, 2), "complement", 8),
        ("xnor", (2, 2, 2), "complement", 8),
        ("xnor", (2, 2, 2), "mac", 8),
        ("xnor", (2, 2, 4), "xnor", 1),
    ],
)
def test_networks_with_ordinary_ends(kind, sizes, pe, width):
    check(*program_of(kind, sizes, ENDS, (3, 3, 2), pe=pe, width=width))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adder", "mac"])
def test_layers_that_round_off_the_low_bits_of_a_map(kind):
    check(*program_of(kind, (2, 2, 2), NARROW, (3, 3, 2)))


@pytest.mark.parametrize("kind", ["adder", "mac"])
def test_layers_that_are_all_narrower_than_the_maps(kind):
    narrow = {"out_channels": 5, "width": 4, "drop": (4,), "out_zero_point": 32}
    layers = [narrow, narrow | {"residual": "layer0"}, narrow]
    check(*program_of(kind, (2, 2, 1), layers, (5, 1, 1), zero_point=48))


def taken_of_codes(program, layer):
    """What the array takes of each code in all channels of a word."""
    formats, m = hardware_formats(program), Module()
    config = program.config
    fields = Signal(formats.layer, init=layer_values(layer, formats.layer))
    word = Signal(ArrayLayout(config.map_width, config.channels))
    taken = Signal(ArrayLayout(config.array.width, config.channels))
    m.d.comb += taken.eq(operands(formats, m, fields, word.as_value(), Const(0, 4), Const(0)))
    found = []

    async def bench(ctx):
        for code in range(2**config.map_width):
            ctx.set(word, [code] * config.channels)
            found.append(list(ctx.get(taken)))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize("others", [[], [{"out_channels": 3}]], ids=["narrow", "mixed"])
@pytest.mark.parametrize("width", [2, 3, 4, 7])
def test_operands_are_rounded_and_clamped_to_any_width(width, others):
    """In an accelerator of layers that are as narrow, and of one with all bits beside them."""
    drops, narrow = [0, 1, 4, 6, 8 - width], {"out_channels": 3, "width": width}
    layers = [narrow | {"drop": (drop,), "out_zero_point": 0} for drop in drops]
    _, program = program_of("adder", (2, 2, 2), layers + others, (3, 1, 1), zero_point=0)
    codes = np.arange(256)
    for layer in program.layers[: len(drops)]:
        wanted = np.minimum((codes + 2**layer.drop // 2) >> layer.drop, 2**width - 1)
        assert taken_of_codes(program, layer) == np.tile(wanted[:, None], 4).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("requantize", ["multiply", "shift"])
@pytest.mark.parametrize("kind", ["adder", "mac"])
def test_strides_padding_and_pooling(kind, requantize):
    check(*program_of(kind, (2, 2, 2), POOLED, (1, 7, 5), requantize))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 8, 7), (2, 7, 8)])
def test_pooling_of_windows_that_share_rows_and_columns(shape):
    check(*program_of("adder", (2, 2, 2), SHARED, shape))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(3, 3, 1), (4, 1, 1), (1, 2, 4), (5, 5, 2)])
def test_several_groups_of_channels_and_tiles_of_filters(sizes):
    check(*program_of("adder", sizes, GROUPS, (9, 4, 3), seed=1))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "requantize"), [("adder", "shift"), ("mac", "multiply")])
def test_added_maps_and_means(kind, requantize):
    check(*program_of(kind, (2, 2, 2), ADDED, (5, 4, 6), requantize))


@pytest.mark.parametrize("pipeline", [0, 1])
def test_the_next_image_leaves_the_map_that_the_last_layer_adds(pipeline):
    same = {"out_channels": 8}
    layers = [same, same, same | {"source": "layer0", "residual": "layer1"}]
    check(*program_of("adder", (2, 2, 2), layers, (8, 1, 1), pipeline=pipeline), count=5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "sizes", "layers", "in_shape", "requantize", "pipeline"),
    [
        ("adder", (2, 2, 2), ENDS, (3, 3, 2), "multiply", 1),
        ("adder", (2, 2, 2), ADDED, (5, 4, 6), "shift", 2),
        ("mac", (2, 2, 2), ADDED, (5, 4, 6), "multiply", 1),
        ("mac", (3, 3, 1), GROUPS, (9, 4, 3), "shift", 2),
    ],
)
def test_a_pipeline_with_banks_of_weights_and_maps(
    kind, sizes, layers, in_shape, requantize, pipeline, monkeypatch
):
    monkeypatch.setattr("hw.memories.BANK", 16)
    monkeypatch.setattr("hw.memories.MAP_BANK", 16)
    check(*program_of(kind, sizes, layers, in_shape, requantize, pipeline=pipeline))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "in_shape", "pipeline"),
    [("POOLED", (1, 7, 5), 0), ("SHARED", (2, 7, 8), 1), ("ADDED", (5, 4, 6), 1)],
)
def test_no_word_matters_that_is_read_while_it_is_written(
    layers, in_shape, pipeline, collisions_spoil
):
    """Boards' block RAM may give anything then (`hw.fabric.ANY_WORD_AT_A_COLLISION`)."""
    check(*program_of("adder", (2, 2, 2), globals()[layers], in_shape, pipeline=pipeline))


@pytest.mark.parametrize(("kind", "width"), [("adder", 8), ("mac", 8), ("xnor", 1)])
def test_a_single_layer(kind, width):
    lanes = 2 if kind == "xnor" else 1
    check(*program_of(kind, (2, 2, lanes), [{"out_channels": 5}], (3, 1, 1), width=width))


@pytest.mark.slow
@pytest.mark.parametrize("requantize", ["multiply", "shift"])
@pytest.mark.parametrize("pipeline", [0, 1])
def test_a_kernel_with_padding_and_pooling_before_a_flattened_map(requantize, pipeline):
    layers = [
        {"out_channels": 5, "kernel": (2, 2), "padding": (1, 0), "pool": (2, 1)},
        {"out_channels": 3, "flatten": True},
    ]
    check(*program_of("adder", (2, 2, 2), layers, (1, 3, 3), requantize, pipeline=pipeline))


@pytest.mark.slow
def test_words_and_answers_at_any_time():
    """Two of three cycles without a word, three of four in which no answer is taken."""
    model, program = program_of("adder", (2, 2, 2), POOLED, (1, 7, 5))
    codes, rng = generated_codes(model, 4), np.random.default_rng(0)
    bench = Bench(program, codes, rng.random(997) < 1 / 3, rng.random(991) < 1 / 4)
    check_maps(model, bench, codes)
    check_answers(model, bench, codes)


@pytest.mark.slow
def test_an_answer_that_nobody_takes_stops_the_next_image_but_loses_nothing():
    model, program = program_of("mac", (2, 2, 2), POOLED, (1, 7, 5))
    codes, taken = generated_codes(model, 3), np.zeros(2 * program.cycles, bool)
    taken[-1] = True
    bench = Bench(program, codes, taken=taken)
    check_answers(model, bench, codes)
    assert [cycle for cycle, _ in bench.answers] == [2 * n * program.cycles - 1 for n in (1, 2, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.55, 0.8, 0.97, 1.4])
def test_a_reset_of_one_cycle_at_any_time_leaves_nothing_behind(share):
    model, program = program_of("adder", (2, 2, 2), POOLED, (1, 7, 5))
    codes = generated_codes(model, 2)
    bench = Bench(program, codes, reset_at=int(share * program.cycles), count=2)
    check_maps(model, bench, codes)
    check_answers(model, bench, codes)
    assert bench.answers[0][0] - bench.images[0] + 1 == program.cycles
