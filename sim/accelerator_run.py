"""Runs an accelerator's Verilog on images, compiled by Verilator with a main program of its own:
answers, the cycles that they took, and every map."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw.accelerator_verilog import TOP, accelerator_verilog
from hw.descriptor import LayerDescriptor
from hw.interpreter import map_of_words
from hw.program import Program
from hw.tools import failed, run

from .accelerator_bench import Trace, bench_verilog, word_width
from .runner import has_fst_headers
from .verilated import executable

MAIN = Path(__file__).with_name("accelerator_main.cpp")
TRACED = "traced"
POLL = 0.2  # seconds
LONG = 2_000_000  # cycles that are worth all optimizations, with which a program compiles longer
Update = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What images gave. classes, cycles: of each image, the cycles since the first word of its
    batch, that and the answer's both included. positions: of each image in its batch, whose images
    come back to back. words: of the maps that were stored, (images, words, bytes)."""

    program: Program
    classes: np.ndarray
    cycles: np.ndarray
    positions: np.ndarray
    words: np.ndarray

    @property
    def due(self) -> np.ndarray:
        """The cycles that the program predicts."""
        return self.program.cycles + self.program.interval * self.positions

    def maps(self, images: slice) -> dict[str, np.ndarray]:
        """Each stored layer's codes (images, filters, rows, columns), of all its bands."""
        config, first, bands = self.program.config, 0, {}
        for layer in stored(self.program):
            words = self.words[images, first : first + layer.target.words]
            codes = unpacked(words, config.map_width, config.channels)
            rows = np.stack([map_of_words(one, layer.target) for one in codes])
            bands.setdefault(layer.name, []).append(rows)
            first += layer.target.words
        return {name: np.concatenate(rows, axis=2) for name, rows in bands.items()}


def stored(program: Program) -> tuple[LayerDescriptor, ...]:
    """The layers whose maps are stored: all but the last."""
    return program.layers[:-1]


def run_images(
    program: Program,
    codes: np.ndarray,
    folder: Path,
    processes: int = 1,
    update: Update | None = None,
    verilog: str | None = None,
) -> Run:
    """Runs images, codes (images, channels, rows, columns), in one batch for each process.

    Writes the Verilog, the bench, the images' words, results and logs into `folder`. update takes
    (what it is at, images done, images in all). verilog: in place of the program's, for injected
    faults. ToolError when Verilator is missing, or a run stops before the last answer."""
    folder = folder.resolve()
    simulator = build(program, folder, verilog, images=len(codes))
    batches = np.array_split(codes, min(processes, len(codes)))
    names = [folder / f"batch{index}" for index in range(len(batches))]
    for name, batch in zip(names, batches, strict=True):
        write_images(program, batch, name.with_suffix(".images"))
    running = [
        _started([str(simulator), *arguments(program, len(batch), name)], name)
        for name, batch in zip(names, batches, strict=True)
    ]
    _wait(running, names, len(codes), update)
    return _results(program, names, [len(batch) for batch in batches])


def run_traced(
    program: Program,
    codes: np.ndarray,
    folder: Path,
    windows: Sequence[range],
    trace: Trace,
    verilog: str | None = None,
    waves: Path | None = None,
) -> np.ndarray:
    """What is traced in these windows of cycles, one after the other, (cycles, bytes), while images
    run back to back, codes (images, channels, rows, columns), whose first word comes in cycle 0.
    The answers are left in `folder`, as those of `run_images` are. waves: a file for all signals of
    these cycles, of `waves_format`, if the trace is for them."""
    folder = folder.resolve()
    simulator, name = build(program, folder, verilog, trace), folder / TRACED
    write_images(program, codes, name.with_suffix(".images"))
    command = [str(simulator), *arguments(program, len(codes), name, windows, waves)]
    run(command, folder, name.with_suffix(".log"))
    recorded = np.fromfile(name.with_suffix(".maps"), np.uint8)
    return recorded.reshape(sum(map(len, windows)), -1)


def waves_format() -> str:
    """FST where the headers of lz4 and zlib are, as in `sim.runner`."""
    return "fst" if has_fst_headers() else "vcd"


def build(
    program: Program,
    folder: Path,
    verilog: str | None = None,
    trace: Trace | None = None,
    images: int = 1,
) -> Path:
    """The simulator's executable, as of `sim.verilated`. images: that are to run."""
    sources = {f"{TOP}.v": verilog or accelerator_verilog(program)}
    sources["bench.v"] = bench_verilog(program, trace)
    return build_sources(program, folder, sources, trace, images)


def build_sources(
    program: Program,
    folder: Path,
    sources: dict[str, str],
    trace: Trace | None = None,
    images: int = 1,
) -> Path:
    """The executable of these Verilog files, whose module `bench` has the ports of that of
    `sim.accelerator_bench`, and its trace."""
    sizes = {"WORD_BYTES": word_bytes(program), "WORDS": program.config.activation_words}
    defines = [f"-DBENCH_{name}={value}" for name, value in sizes.items()]
    flags = [f"--trace-{waves_format()}"] if trace and trace.waves else []
    long = images * program.interval > LONG and not trace  # wide traces take long to compile
    level = "-O3" if long else "-O1"
    return executable(folder, sources, MAIN, level, defines, flags)


def arguments(
    program: Program,
    count: int,
    name: Path,
    windows: Sequence[range] = (),
    waves: Path | None = None,
) -> list[str]:
    """Of `accelerator_main.cpp`; its files are `name` with endings, and `waves`. windows: cycles of
    the trace, which takes the place of the maps."""
    limit = count * 2 * program.cycles
    numbers = (count, count * program.image.words, program.config.drain, limit)
    spans = ",".join(f"{window.start}-{window.stop}" for window in windows)
    places = [] if windows else [layer.target for layer in stored(program)]
    files = [str(name.with_suffix(ending)) for ending in (".images", ".answers", ".maps")]
    files.append(str(waves.resolve()) if waves else "-")
    return [*map(str, numbers), spans, *files, *(str(n) for p in places for n in (p.base, p.words))]


def write_images(program: Program, codes: np.ndarray, path: Path) -> None:
    with path.open("wb") as file:
        for image in codes:
            file.write(packed(program.image_words(image), program).tobytes())


def packed(words: np.ndarray, program: Program) -> np.ndarray:
    """(words, bytes) of words of codes, the first channel in the lowest bits."""
    bits = words[:, :, None] >> np.arange(program.config.map_width) & 1
    packed = np.packbits(bits.reshape(len(words), -1).astype(bool), axis=1, bitorder="little")
    return np.pad(packed, ((0, 0), (0, word_bytes(program) - packed.shape[1])))


def unpacked(words: np.ndarray, width: int, count: int) -> np.ndarray:
    """(…, count) numbers of `width` bits in (…, bytes)."""
    bits = np.unpackbits(words, axis=-1, bitorder="little", count=width * count)
    return bits.reshape(*words.shape[:-1], count, width) @ (1 << np.arange(width))


def word_bytes(program: Program) -> int:
    """Of a word in files: whole 32-bit words, as the simulator keeps them."""
    return 4 * -(-word_width(program) // 32)


def read_maps(program: Program, name: Path, count: int) -> np.ndarray:
    """What the images' stored layers left, (images, words, bytes)."""
    maps = np.fromfile(name.with_suffix(".maps"), np.uint8)
    return maps.reshape(count, -1, word_bytes(program))


def _started(command: list[str], name: Path) -> subprocess.Popen:
    with name.with_suffix(".log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _wait(
    running: list[subprocess.Popen], names: list[Path], count: int, update: Update | None
) -> None:
    """Until all have ended; none is left running when waiting is interrupted."""
    try:
        while any(process.poll() is None for process in running):
            if update:
                update("", sum(_answered(name) for name in names), count)
            time.sleep(POLL)
    finally:
        for process in running:
            process.kill()
            process.wait()
    for process, name in zip(running, names, strict=True):
        if process.returncode:
            raise failed("the simulator stopped", name.with_suffix(".log"))


def _answered(name: Path) -> int:
    path = name.with_suffix(".answers")
    return path.stat().st_size // 16 if path.exists() else 0


def _results(program: Program, names: list[Path], counts: list[int]) -> Run:
    answers, words = [], []
    for name, count in zip(names, counts, strict=True):
        answer = np.fromfile(name.with_suffix(".answers"), np.int64).reshape(-1, 2)
        if len(answer) != count:
            raise failed("the accelerator gave too few answers", name.with_suffix(".log"))
        answers.append(answer)
        words.append(read_maps(program, name, count))
    classes, cycles = np.concatenate(answers).T
    positions = np.concatenate([np.arange(count) for count in counts])
    return Run(
        program=program,
        classes=classes,
        cycles=cycles,
        positions=positions,
        words=np.concatenate(words),
    )
