"""Runs a network whose maps lie in an external memory under cocotbext-axi's models."""

from pathlib import Path

import numpy as np

from hw.interpreter import map_of_words
from hw.program import Program
from hw.shell.self_test import StoredImages

from .accelerator_run import unpacked
from .job import LEFT_MAPS
from .shell_run import map_word_bytes, run_shell


def run_network(
    program: Program, images: StoredImages, folder: Path
) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """What the scenario of `sim.network_bench` found, as `run_shell` says it; and the last image's
    maps by name, (channels, rows, columns), as they lie in the memory in the end."""
    found = run_shell(program, images, folder, benches=["sim.network_bench"])
    config = program.config
    words = np.frombuffer((folder / LEFT_MAPS).read_bytes(), np.uint8)
    codes = unpacked(words.reshape(-1, map_word_bytes(program)), config.map_width, config.channels)
    maps = {
        name: map_of_words(codes[place.base : place.base + place.words], place)
        for name, place in program.maps.items()
    }
    return found, maps
