"""The plain Verilog bench on Icarus, right and with faults in the vectors and in the array."""

import shutil
import subprocess

import pytest

from hw.config import ArrayConfig
from hw.verilog import TOP, array_verilog
from sim.testbench import bench_files
from sim.workload import generated_forms

CONFIG = ArrayConfig(rows=2, cols=3, lanes=2, width=4, depth=9)
STAYING = ArrayConfig(**CONFIG.model_dump() | {"dataflow": "weight-stationary", "positions": 4})
PIPELINED = ArrayConfig(**CONFIG.model_dump() | {"pipeline": 4})
needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs iverilog")


def run(folder, files):
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = [f"{TOP}.v", f"{TOP}_tb.v"]
    subprocess.run(["iverilog", "-g2005", "-o", "bench", *sources], cwd=folder, check=True)
    ended = subprocess.run(["vvp", "bench"], cwd=folder, capture_output=True, text=True)
    assert ended.returncode == ("FAIL" in ended.stdout)
    return ended.stdout


def files_of(config):
    return {f"{TOP}.v": array_verilog(config)} | bench_files(config, generated_forms(config))


def flipped(text, line):
    """The text with one 0 or 1 of a line changed."""
    lines = text.splitlines()
    at = next(index for index, bit in enumerate(lines[line]) if bit != "x")
    bit = {"0": "1", "1": "0"}[lines[line][at]]
    lines[line] = lines[line][:at] + bit + lines[line][at + 1 :]
    return "\n".join(lines) + "\n"


@needs_icarus
@pytest.mark.slow
@pytest.mark.parametrize(
    "config", [CONFIG, CONFIG.twin("mac"), STAYING, STAYING.twin("mac"), PIPELINED]
)
def test_the_array_passes(config, tmp_path):
    files = files_of(config)
    rows = len(files["expected.mem"].splitlines())
    assert run(tmp_path, files).startswith(f"PASS: {rows} rows of sums")


@needs_icarus
@pytest.mark.slow
def test_one_wrong_bit_anywhere_fails(tmp_path):
    files = files_of(CONFIG)
    for line in (0, -3):
        wrong = files | {"expected.mem": flipped(files["expected.mem"], line)}
        output = run(tmp_path, wrong)
        assert "FAIL: 1 of" in output and "expected" in output


@needs_icarus
@pytest.mark.slow
def test_a_missing_row_and_a_broken_array_fail(tmp_path):
    files = files_of(CONFIG)
    fewer = files["expected.mem"].splitlines()[1:]
    assert "FAIL" in run(tmp_path, files | {"expected.mem": "\n".join(fewer) + "\n"})
    verilog = files[f"{TOP}.v"]
    broken = verilog.replace(" = rst ? 1'h0 : last;", " = 1'h0;")
    assert broken != verilog and "FAIL" in run(tmp_path, files | {f"{TOP}.v": broken})


def test_sums_that_stand_for_nothing_are_not_compared():
    forms = list(generated_forms(CONFIG))
    lines = bench_files(CONFIG, forms)["expected.mem"].splitlines()
    bits = CONFIG.acc_width
    compared = sum(len(line) - line.count("x") for line in lines)
    assert compared == bits * sum(form.sums.size for form in forms)
