"""The cocotb bench of an IP block with maps in an external memory: images through a network, and
what they leave in cocotbext-axi's memory."""

import os
from pathlib import Path

from golden.archive import write_whole

from .job import JOB_VARIABLE, LEFT_MAPS
from .shell_bench import CLEAR, MAPS, Bench, scenario


@scenario
async def images_leave_their_maps_in_the_memory(bench: Bench) -> None:
    waited = 0
    for packet, index in zip(bench.packets, bench.classes, strict=True):
        await bench.write("CONTROL", CLEAR)
        await bench.send(packet)
        assert await bench.answer() == index
        waited = await bench.read("STARVED")
        assert await bench.read("IMAGE_CYCLES") == bench.image_cycles + waited
    assert waited > 0
    left = bench.maps.read(MAPS, bench.map_bytes)
    write_whole(Path(os.environ[JOB_VARIABLE]).with_name(LEFT_MAPS), left)
