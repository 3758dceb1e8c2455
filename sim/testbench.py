"""A plain Verilog test bench with vectors, for simulators without Python: what enters an array in
every cycle and which rows of sums must come out, in two files that $readmemb reads."""

from collections.abc import Iterable

import numpy as np

from hw.config import ArrayConfig
from hw.schedule import Schedule, pack
from hw.verilog import TOP, config_hash

from .workload import MatrixForm


def bench_files(config: ArrayConfig, forms: Iterable[MatrixForm]) -> dict[str, str]:
    """Files by name: `adderforge_array_tb.v`, `stimulus.mem`, `expected.mem`.

    Bits of sums that no output of a form stands for are x in `expected.mem` and not compared.
    """
    stimulus, expected = [], []
    for form in forms:
        schedule = Schedule(shape=form.shape, config=config)
        stimulus += _stimulus(config, schedule, form)
        expected += _expected(config, schedule, form)
    operands = config.rows * config.lanes * config.width, config.cols * config.lanes * config.width
    text = BENCH.format(
        top=TOP,
        hash=config_hash(config),
        a_msb=operands[0] - 1,
        w_msb=operands[1] - 1,
        sums_msb=config.cols * config.acc_width - 1,
        cycles=len(stimulus),
        rows=len(expected),
        reset=config.rows + config.cols,
        bits=sum(len(line) - line.count("x") for line in expected),
    )
    files = {"stimulus.mem": stimulus, "expected.mem": expected}
    return {f"{TOP}_tb.v": text} | {name: "\n".join(x) + "\n" for name, x in files.items()}


def _stimulus(config: ArrayConfig, schedule: Schedule, form: MatrixForm) -> list[str]:
    """last, w and a of every cycle, and zeros until the array is empty."""
    a_stream, w_stream, last = schedule.operands(form.activations, form.weights)
    bits = [config.lanes * config.width * side for side in (config.cols, config.rows)]
    words = zip(pack(w_stream, config.width), pack(a_stream, config.width), last, strict=True)
    lines = [f"{int(end)}{w:0{bits[0]}b}{a:0{bits[1]}b}" for w, a, end in words]
    return lines + ["0" * (1 + sum(bits))] * schedule.empty_cycles


def _expected(config: ArrayConfig, schedule: Schedule, form: MatrixForm) -> list[str]:
    """Every row of sums, column 0 in the lowest bits."""
    count = schedule.rows_out
    places = schedule.results(np.arange(count * config.cols).reshape(count, config.cols))
    fields = np.full(count * config.cols, "x" * config.acc_width, dtype=object)
    modulus = 2**config.acc_width
    for place, total in zip(places.ravel(), form.sums.ravel(), strict=True):
        fields[place] = f"{int(total) % modulus:0{config.acc_width}b}"
    rows = fields.reshape(count, config.cols)[:, ::-1]
    unused = ["x" * config.acc_width * config.cols] * schedule.rows_unused
    return ["".join(row) for row in rows] + unused


BENCH = """\
// Test bench of {top}, configuration {hash}. Needs no Python:
//   iverilog -g2005 -o bench {top}.v {top}_tb.v && vvp bench
// It prints PASS, or FAIL and the first differences.
`timescale 1ns / 1ps
module {top}_tb;
  reg clk = 0, rst = 1;
  reg [{a_msb}:0] a = 0;
  reg [{w_msb}:0] w = 0;
  reg last = 0;
  wire [{sums_msb}:0] sums;
  wire valid;

  {top} dut (.clk(clk), .rst(rst), .a(a), .w(w), .last(last), .sums(sums), .valid(valid));

  reg [1 + {w_msb} + 1 + {a_msb}:0] stimulus [0:{cycles} - 1];
  reg [{sums_msb}:0] expected [0:{rows} - 1];
  reg [{sums_msb}:0] want;
  integer cycle, row, wrong, compared, bit_index, differs;

  always #5 clk = ~clk;

  initial begin
    $readmemb("stimulus.mem", stimulus);
    $readmemb("expected.mem", expected);
    row = 0;
    wrong = 0;
    compared = 0;
    for (cycle = 0; cycle < {reset}; cycle = cycle + 1) @(negedge clk);
    rst = 0;
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      {{last, w, a}} = stimulus[cycle];
      @(negedge clk);
      if (valid !== 1'b0) check;
    end
    if (row != {rows}) $display("FAIL: %0d rows of sums came out, %0d were expected", row, {rows});
    else if (compared != {bits}) $display("FAIL: expected.mem is not the one of this bench");
    else if (wrong != 0) $display("FAIL: %0d of %0d rows of sums are wrong", wrong, {rows});
    else $display("PASS: %0d rows of sums, %0d bits compared, in {cycles} cycles", row, compared);
    $finish;
  end

  task check;
    begin
      want = row < {rows} ? expected[row] : {{{sums_msb} + 1{{1'bx}}}};
      differs = 0;
      for (bit_index = 0; bit_index <= {sums_msb}; bit_index = bit_index + 1)
        if (want[bit_index] !== 1'bx) begin
          compared = compared + 1;
          if (sums[bit_index] !== want[bit_index]) differs = 1;
        end
      if (differs && wrong < 5)
        $display("row %0d, cycle %0d: sums %b, expected %b", row, cycle, sums, want);
      wrong = wrong + differs;
      row = row + 1;
    end
  endtask
endmodule
"""
