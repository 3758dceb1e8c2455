"""Runs an accelerator's IP block under AXI models that nobody here wrote."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from golden.archive import save_arrays
from hw.external.image import program_image
from hw.formats import hardware_formats
from hw.program import Program
from hw.shell.ip import TOP, ip_verilog
from hw.shell.registers import register_map
from hw.shell.self_test import StoredImages

from .job import RESULTS
from .runner import check_complete, check_simulator, run_bench


def run_shell(
    program: Program,
    images: StoredImages,
    folder: Path,
    simulator: str = "verilator",
    seed: int = 0,
    verilog: str | None = None,
    waves: bool = False,
    others: Sequence[tuple[Program, StoredImages]] = (),
    benches: Sequence[str] = (),
) -> dict[str, str]:
    """Play the scenarios of `sim.shell_bench` with these images, which are the self-test's too;
    what each found: "passed", or in words what was wrong.

    Writes the Verilog, the job, logs, `results.json` and `results.xml` (JUnit) into `folder`.
    With an external memory also those of `sim.external_bench`; then `others` take the program's
    place at run time. seed: of the pauses. verilog: in place of the generated text. benches:
    modules with other scenarios, in place of those. ToolError when the simulator is missing or
    stops before the end.
    """
    check_simulator(simulator)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{TOP}.v").write_text(verilog or ip_verilog(program, images), encoding="utf-8")
    (folder / RESULTS).unlink(missing_ok=True)
    registers = {register.name: register.offset for register in register_map(program)}
    constants = {one.name: one.value for one in register_map(program) if one.value is not None}
    layers = [layer.cycles + program.config.drain - 1 for layer in program.layers]
    layers[-1] -= program.config.drain - 1
    facts = {
        "registers": registers,
        "constants": constants,
        "layer_cycles": layers,
        "image_cycles": program.busy_cycles,
        "width": program.config.map_width,
    }
    usual, arrays = ["sim.shell_bench"], {"seed": np.array(seed)}
    external = program.config.external != "none"
    if external:
        usual.append("sim.external_bench")
        facts["programs"] = 1 + len(others)
        words = sum(place.words for place in program.maps.values())
        facts["map_bytes"] = words * map_word_bytes(program)
        formats = hardware_formats(program)
    for index, (one, its_images) in enumerate(((program, images), *others)):
        ending = index or ""
        words = [one.image_words(image) for image in its_images.codes]
        arrays |= {
            f"words{ending}": np.array(words),
            f"classes{ending}": np.asarray(its_images.classes),
        }
        if external:
            arrays[f"image{ending}"] = np.frombuffer(program_image(one, formats), np.uint8)
    arrays["facts"] = np.array(json.dumps(facts))
    save_arrays(arrays, folder / "job.npz")
    run_bench(list(benches) or usual, TOP, folder / "job.npz", simulator, waves, seed)
    found = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    check_complete(folder, found, simulator)
    return found


def map_word_bytes(program: Program) -> int:
    """Of a word of activations in an external memory."""
    return program.config.map_beats * program.config.external_width // 8
