"""Parts of the shell in Amaranth's simulator, and the files beside it."""

import json
import random
import re
import subprocess
from dataclasses import replace
from xml.etree import ElementTree as Tree

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden import reference
from hw.accelerator_config import AcceleratorConfig
from hw.config import ArrayConfig
from hw.program import compile_model
from hw.shell.axi_lite import SLVERR
from hw.shell.counters import Counters
from hw.shell.ip_xact import NAMESPACE, ip_xact
from hw.shell.packets import Packets
from hw.shell.register_block import RegisterBlock
from hw.shell.register_files import register_files
from hw.shell.registers import Field, Register, program_hash, register_map
from hw.shell.self_test import SelfTest, StoredImages
from hw.shell.shell import shell_signature
from sim.generated_models import generated_codes, generated_model

WORDS = 5  # of an image, in tests of packets


def program_of(seed=0, external="none"):
    model = generated_model("adder", (1, 3, 3), [{"out_channels": 3, "flatten": True}], seed=seed)
    array = ArrayConfig(pe="complement", rows=2, cols=2, lanes=2, dataflow="weight-stationary")
    sizes = {"activation_words": 32, "weight_words": 64, "constant_words": 4}
    config = AcceleratorConfig(array=array, external=external, **sizes)
    program = compile_model(model, config)
    codes = generated_codes(model, 2)
    classes = reference.run(model, codes)[-1].codes_out.reshape(2, -1).argmax(1)
    return program, StoredImages(codes=codes, classes=classes)


def simulated(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def images_of(packets, offered=1.0, ready=1.0, seed=0):
    """(words, early, late) of each image that packets of these words give."""
    dut, rng = Packets(8, WORDS), random.Random(seed)
    beats = [(word, index == len(p) - 1) for p in packets for index, word in enumerate(p)]
    images, words = [], []

    async def bench(ctx):
        sent = 0
        for _ in range(200 * len(beats)):
            if len(images) == len(packets) and sent == len(beats):
                break
            offers = sent < len(beats) and rng.random() < offered
            ctx.set(dut.i_packet.valid, int(offers))
            if offers:
                word, last = beats[sent]
                ctx.set(dut.i_packet.payload, {"word": word, "last": int(last)})
            ctx.set(dut.o_image.ready, int(rng.random() < ready))
            if ctx.get(dut.o_image.valid) and ctx.get(dut.o_image.ready):
                words.append(ctx.get(dut.o_image.payload))
                if ctx.get(dut.taken):
                    images.append((tuple(words), ctx.get(dut.early), ctx.get(dut.late)))
                    words.clear()
            sent += bool(offers and ctx.get(dut.i_packet.ready))
            await ctx.tick()
        assert ctx.get(dut.between) and not words

    simulated(dut, bench)
    return images


def image_of(packet):
    """The twin of `Packets` for one packet."""
    words = (*packet, *[0] * WORDS)[:WORDS]
    return words, int(len(packet) < WORDS), int(len(packet) > WORDS)


@pytest.mark.parametrize(("offered", "ready"), [(1.0, 1.0), (0.5, 0.5), (1.0, 0.2), (0.2, 1.0)])
def test_each_packet_gives_one_image_whatever_its_length(offered, ready):
    rng = random.Random(1)
    sizes = [WORDS, 1, WORDS - 1, WORDS, WORDS + 1, 3 * WORDS, WORDS, 2, 2, WORDS]
    packets = [tuple(rng.randrange(1, 256) for _ in range(size)) for size in sizes]
    assert images_of(packets, offered, ready) == [image_of(packet) for packet in packets]


def test_what_is_left_of_a_forgotten_packet_is_skipped():
    dut, seen = Packets(8, WORDS), []

    async def bench(ctx):
        ctx.set(dut.o_image.ready, 1)
        ctx.set(dut.i_packet.valid, 1)
        for index, (word, last) in enumerate(
            [(1, 0), (2, 0), (3, 0), (4, 1), *[(9, 0)] * 4, (9, 1)]
        ):
            ctx.set(dut.i_packet.payload, {"word": word, "last": last})
            ctx.set(dut.forget, int(index == 1))
            while not ctx.get(dut.i_packet.ready):
                await ctx.tick()
                ctx.set(dut.forget, 0)
            if ctx.get(dut.o_image.valid):
                seen.append(ctx.get(dut.o_image.payload))
            await ctx.tick()

    simulated(dut, bench)
    assert seen == [1] + [9] * WORDS


@pytest.mark.parametrize("size", [3, WORDS + 2], ids=["in its image", "behind its image"])
def test_nothing_is_skipped_after_a_packet_that_is_cut(size):
    dut, seen = Packets(8, WORDS), []

    async def give(ctx, words):
        ctx.set(dut.i_packet.valid, 1)
        for word in words:
            ctx.set(dut.i_packet.payload, {"word": word, "last": 0})
            if ctx.get(dut.o_image.valid):
                seen.append(ctx.get(dut.o_image.payload))
            await ctx.tick()
        ctx.set(dut.i_packet.valid, 0)

    async def bench(ctx):
        ctx.set(dut.o_image.ready, 1)
        await give(ctx, [1] * size)
        ctx.set(dut.forget, int(size < WORDS))
        ctx.set(dut.cut, 1)
        await ctx.tick()
        ctx.set(dut.forget, 0)
        ctx.set(dut.cut, 0)
        await give(ctx, [9] * WORDS)

    simulated(dut, bench)
    assert seen == [1] * min(size, WORDS) + [9] * WORDS


def self_tested(classes, right):
    """(tested, passed) of a self-test that stores these classes, of answers that are `right`."""
    program, images = program_of()
    stored = StoredImages(codes=images.codes, classes=np.array(classes))
    dut, ends, words = SelfTest(program, stored, 32, 2), [], []

    async def bench(ctx):
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.waits) and not ctx.get(dut.o_packet.valid)
        ctx.set(dut.go, 1)
        await ctx.tick()
        ctx.set(dut.o_packet.ready, 1)
        while ctx.get(dut.o_packet.valid):
            words.append(ctx.get(dut.o_packet.payload.word))
            ends.append(ctx.get(dut.o_packet.payload.last))
            await ctx.tick()
        for answer in right:
            assert ctx.get(dut.runs) and not ctx.get(dut.o_packet.valid)
            ctx.set(dut.answer, answer)
            ctx.set(dut.answered, 1)
            await ctx.tick()
            ctx.set(dut.answered, 0)
        assert not ctx.get(dut.runs)
        result.extend([ctx.get(dut.tested), ctx.get(dut.passed)])

    result = []
    simulated(dut, bench)
    count = program.image.words
    assert ends == ([0] * (count - 1) + [1]) * 2
    expected = np.concatenate([program.image_words(image) for image in stored.codes])
    assert words == [sum(int(code) << 8 * n for n, code in enumerate(word)) for word in expected]
    return tuple(result)


@pytest.mark.parametrize(
    ("classes", "passed"), [((2, 1), 1), ((1, 1), 0), ((2, 2), 0), ((0, 0), 0)]
)
def test_the_self_test_passes_only_if_every_class_is_right(classes, passed):
    assert self_tested(classes, right=(2, 1)) == (1, passed)


def test_a_self_test_without_images_ends_at_once():
    program, images = program_of()
    dut, seen = SelfTest(program, StoredImages(codes=images.codes[:0], classes=[]), 32, 2), []

    async def bench(ctx):
        ctx.set(dut.start, 1)
        ctx.set(dut.go, 1)
        for _ in range(4):
            await ctx.tick()
            ctx.set(dut.start, 0)
            seen.append([ctx.get(flag) for flag in (dut.waits, dut.runs, dut.tested, dut.passed)])

    simulated(dut, bench)
    assert seen == [[1, 0, 0, 0]] + [[0, 0, 1, 1]] * 3


def test_counters_give_each_layers_cycles():
    dut, seen = Counters(2), []

    async def bench(ctx):
        for _ in range(2):
            for idle, starts in [(1, 0), (0, 0), (0, 0), (0, 1), (0, 0), (0, 0), (1, 0), (1, 1)]:
                ctx.set(dut.idle, idle)
                ctx.set(dut.layer_starts, starts)
                await ctx.tick()
            ctx.set(dut.layer_starts, 0)
            for layer in range(2):
                ctx.set(dut.layer, layer)
                await ctx.tick()
                seen.append(ctx.get(dut.layer_cycles))
            seen.append(ctx.get(dut.image_cycles))

    simulated(dut, bench)
    assert seen == [3, 2, 5] * 2


def read_and_written(registers, action):
    dut, result = RegisterBlock(registers), []

    async def read(ctx, address):
        ctx.set(dut.s_axi_araddr, address)
        ctx.set(dut.s_axi_arvalid, 1)
        await ctx.tick().until(dut.s_axi_arready)
        ctx.set(dut.s_axi_arvalid, 0)
        ctx.set(dut.s_axi_rready, 1)
        data, resp, *_ = (
            await ctx.tick().sample(dut.s_axi_rdata, dut.s_axi_rresp).until(dut.s_axi_rvalid)
        )
        return SLVERR if resp else data

    async def write(ctx, address, data, strobe=15):
        for name, value in {"awaddr": address, "wdata": data, "wstrb": strobe}.items():
            ctx.set(getattr(dut, f"s_axi_{name}"), value)
        ctx.set(dut.s_axi_awvalid, 1)
        ctx.set(dut.s_axi_wvalid, 1)
        ctx.set(dut.s_axi_bready, 1)
        await ctx.tick().until(dut.s_axi_awready)
        ctx.set(dut.s_axi_awvalid, 0)
        ctx.set(dut.s_axi_wvalid, 0)
        resp, *_ = await ctx.tick().sample(dut.s_axi_bresp).until(dut.s_axi_bvalid)
        return resp

    async def bench(ctx):
        result.append(await action(ctx, dut, read, write))

    simulated(dut, bench)
    return result[0]


def test_a_flag_stays_until_a_one_is_written_to_it():
    flags = tuple(
        Field(name=name, low=low, access="clear", meaning="") for name, low in (("A", 0), ("B", 9))
    )
    registers = (Register(name="FLAGS", offset=8, meaning="", fields=flags),)

    async def action(ctx, dut, read, write):
        ctx.set(dut.a, 1)
        ctx.set(dut.b, 1)
        await ctx.tick()
        ctx.set(dut.a, 0)
        ctx.set(dut.b, 0)
        seen = [await read(ctx, 8), await write(ctx, 8, 0x200, strobe=1), await read(ctx, 8)]
        return [*seen, await write(ctx, 8, 0x200), await read(ctx, 8), await read(ctx, 12)]

    assert read_and_written(registers, action) == [0x201, 0, 0x201, 0, 1, SLVERR]


@pytest.mark.parametrize("external", ["none", "weights", "maps"])
def test_registers_do_not_overlap_and_lie_within_the_addresses(external):
    taken = []
    for register in register_map(program_of(external=external)[0]):
        assert register.offset % 4 == 0
        taken += range(register.offset // 4, register.offset // 4 + max(register.count, 1))
        bits = [field.mask for field in register.fields]
        assert sum(bits) == int(np.bitwise_or.reduce(bits or [0])) < 2**32
    assert len(set(taken)) == len(taken) and max(taken) < 1024


def test_programs_that_differ_have_different_hashes():
    one, again, other = (program_hash(program_of(seed)[0]) for seed in (0, 0, 1))
    assert one == again != other and re.fullmatch("[0-9a-f]{16}", one)


def files():
    program, _ = program_of()
    registers = register_map(program)
    return registers, register_files(registers, "a name")


def test_the_header_has_the_offsets_and_masks(tmp_path):
    registers, texts = files()
    (tmp_path / "registers.h").write_text(texts["adderforge_registers.h"])
    names = [f"{r.name}({r.count - 1})" if r.count else r.name for r in registers]
    names += [f"{r.name}_{field.name}" for r in registers for field in r.fields]
    prints = "".join(f'printf("%u\\n", ADDERFORGE_{name});' for name in names)
    program = f'#include <stdio.h>\n#include "registers.h"\nint main(void) {{ {prints} }}\n'
    (tmp_path / "main.c").write_text(program)
    subprocess.run(["gcc", "-Wall", "-Werror", "main.c", "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    wanted = [r.offset + 4 * max(r.count - 1, 0) for r in registers]
    wanted += [field.mask for r in registers for field in r.fields]
    assert [int(line) for line in done.stdout.split()] == wanted


def test_json_markdown_and_svd_have_every_register_and_field():
    registers, texts = files()
    listed = json.loads(texts["registers.json"])["registers"]
    assert [(r["name"], r["offset"], r["access"]) for r in listed] == [
        (r.name, r.offset, r.access) for r in registers
    ]
    svd = Tree.fromstring(texts["adderforge.svd"])
    offsets = [int(one.text, 16) for one in svd.iter("addressOffset")]
    assert offsets == [register.offset for register in registers]
    masks = [
        (2 ** int(one.findtext("bitWidth")) - 1) << int(one.findtext("bitOffset"))
        for one in svd.iter("field")
    ]
    assert masks == [field.mask for register in registers for field in register.fields]
    for register in registers:
        assert f"| 0x{register.offset:03X} | {register.name}" in texts["registers.md"]


@pytest.mark.parametrize("external", ["none", "weights", "maps"])
def test_ip_xact_has_the_shells_ports_and_maps_only_those(external):
    program, _ = program_of(external=external)
    signature = shell_signature(program)
    tree = Tree.fromstring(ip_xact(signature, register_map(program), "top", ["top.v"]))
    spirit = {"s": NAMESPACE}
    ports = [one.text for one in tree.findall("s:model/s:ports/s:port/s:name", spirit)]
    assert ports == ["aclk", "aresetn", *signature.members]
    mapped = [one.text for one in tree.findall(".//s:physicalPort/s:name", spirit)]
    assert sorted(mapped) == sorted(ports)


def test_more_layers_than_addresses_are_refused():
    program, _ = program_of()
    with pytest.raises(ValueError, match="at most 768 layers to count, not 769"):
        register_map(replace(program, layers=program.layers * 769))
