"""An accelerator whose maps lie in an external memory, in Amaranth's simulator."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden import reference
from hw.accelerator import Accelerator
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.external.image import program_beats
from hw.program import compile_model
from sim.generated_models import generated_codes, generated_model

LAYERS = [
    {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "residual": "image"},
    {"out_channels": 9, "kernel": (1, 2), "stride": (2, 2)},
    {
        **{"source": "layer0", "out_channels": 9, "kernel": (3, 3), "padding": (1, 1)},
        **{"stride": (2, 2), "residual": "layer1", "mean": (2, 3)},
    },
    {"out_channels": 9, "residual": "layer2"},
    {"out_channels": 3},
]


def program_of(layers, shape, external_width, pipeline=0):
    array = ArrayConfig(
        **{"rows": 2, "cols": 2, "lanes": 2, "depth": 2**14},
        dataflow="weight-stationary",
        pipeline=pipeline,
    )
    model = generated_model("adder", shape, layers)
    config = AcceleratorConfig(
        array=array, external="maps", external_width=external_width, activation_words=1
    )
    return model, compile_model(model, sized(model, config))


async def memory(ctx, dut, beats, rng, share):
    """Serves the mover's streams with pauses: one stretch at a time."""
    ports = {dut.o_read: False, dut.o_write: True}
    while True:
        for port in ports:
            ctx.set(port.ready, 1)
        seen = [value for port in ports for value in (port.valid, port.payload)]
        _, _, *taken = await ctx.tick().sample(*seen)
        for (port, writes), valid, command in zip(
            ports.items(), taken[::2], taken[1::2], strict=True
        ):
            if valid:
                ctx.set(port.ready, 0)
                move = written if writes else read
                await move(ctx, dut, beats, command.at, command.beats, rng, share)


async def written(ctx, dut, beats, at, count, rng, share):
    port = dut.o_written
    while count:
        ready = rng.random() < share
        ctx.set(port.ready, int(ready))
        _, _, valid, beat = await ctx.tick().sample(port.valid, port.payload)
        if ready and valid:
            beats[at], at, count = beat, at + 1, count - 1
    ctx.set(port.ready, 0)


async def read(ctx, dut, beats, at, count, rng, share):
    while count:
        valid = rng.random() < share
        ctx.set(dut.i_read.valid, int(valid))
        ctx.set(dut.i_read.payload, beats[at])
        await ctx.tick()
        at, count = at + valid, count - valid
    ctx.set(dut.i_read.valid, 0)


def run(program, codes, share):
    """(answers, beats of the external memory after the last)."""
    dut, beats, rng, answers = Accelerator(program), {}, np.random.default_rng(0), []
    tables, weights = program_beats(program, dut.formats)
    words = np.concatenate([program.image_words(image) for image in codes]).tolist()

    async def serve(ctx):
        await memory(ctx, dut, beats, rng, share)

    async def feed(ctx):
        at = 0
        ctx.set(dut.i_program.valid, 1)
        while True:
            beat = at if at < len(tables) else len(tables) + (at - len(tables)) % len(weights)
            ctx.set(dut.i_program.payload, [*tables, *weights][beat])
            _, _, taken = await ctx.tick().sample(dut.i_program.ready)
            at += taken

    async def drive(ctx):
        sent = cycle = 0
        ctx.set(dut.o_class.ready, 1)
        while len(answers) < len(codes):
            assert cycle < 20 * len(codes) * program.cycles + 1000
            ctx.set(dut.i_image.valid, int(sent < len(words)))
            if sent < len(words):
                ctx.set(dut.i_image.payload, words[sent])
            if ctx.get(dut.o_class.valid):
                answers.append(ctx.get(dut.o_class.payload))
            _, _, ready = await ctx.tick().sample(dut.i_image.ready)
            sent, cycle = sent + (ready and sent < len(words)), cycle + 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(serve, background=True)
    simulator.add_testbench(feed, background=True)
    simulator.add_testbench(drive)
    simulator.run()
    return answers, beats


def map_of(program, beats, name):
    """A map out of the external memory."""
    config, place = program.config, program.maps[name]
    count, width = config.map_beats, config.external_width
    firsts = (count * (place.base + word) for word in range(place.words))
    words = [sum(beats[at + i] << (width * i) for i in range(count)) for at in firsts]
    most = 2**config.map_width - 1
    codes = [[w >> (config.map_width * c) & most for c in range(config.channels)] for w in words]
    pixels = np.array(codes).reshape(*place.shape[1:], -1)[:, :, : place.shape[0]]
    return pixels.transpose(2, 0, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("external_width", "share", "pipeline"), [(32, 1, 0), (64, 0.3, 1), (256, 0.5, 0)]
)
def test_layers_run_in_bands_of_rows_whose_maps_come_and_go(external_width, share, pipeline):
    model, program = program_of(LAYERS, (5, 6, 6), external_width, pipeline)
    assert len(program.layers) > len(model.layers) + 3
    codes = generated_codes(model, 2)
    records = reference.run(model, codes)
    answers, beats = run(program, codes, share)
    assert answers == records[-1].codes_out.reshape(2, -1).argmax(1).tolist()
    for record in records[:-1]:
        name = record.layer.spec.name
        np.testing.assert_array_equal(map_of(program, beats, name), record.codes_out[1])
