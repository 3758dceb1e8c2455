"""A plain Verilog test bench with vectors, for simulators without Python: what enters an array in
every cycle and which rows of sums must come out, in two files that $readmemb reads."""

from collections.abc import Iterable

import numpy as np

from hw.config import ArrayConfig
from hw.schedule import Schedule, WeightSchedule, plan, words
from hw.verilog import TOP, config_hash

from .workload import MatrixForm


def bench_files(config: ArrayConfig, forms: Iterable[MatrixForm]) -> dict[str, str]:
    """Files by name: `adderforge_array_tb.v`, `stimulus.mem`, `expected.mem`.

    Bits of sums that no output of a form stands for are x in `expected.mem` and not compared.
    """
    bits = _input_bits(config)
    stimulus, expected = [], []
    for form in forms:
        schedule = plan(form.shape, config)
        stimulus += _stimulus(config, bits, schedule, form)
        expected += _expected(config, schedule, form)
    text = BENCH.format(
        top=TOP,
        hash=config_hash(config),
        inputs="\n".join(f"  reg [{width - 1}:0] {name} = 0;" for name, width in bits.items()),
        connections=", ".join(f".{name}({name})" for name in bits),
        together=", ".join(reversed(bits)),
        stimulus_msb=sum(bits.values()) - 1,
        sums_msb=config.cols * config.acc_width - 1,
        cycles=len(stimulus),
        rows=len(expected),
        reset=config.rows + config.cols,
        bits=sum(len(line) - line.count("x") for line in expected),
    )
    files = {"stimulus.mem": stimulus, "expected.mem": expected}
    return {f"{TOP}_tb.v": text} | {name: "\n".join(x) + "\n" for name, x in files.items()}


def _input_bits(config: ArrayConfig) -> dict[str, int]:
    """Bits of each of the schedule's ports."""
    sides = {"a": config.rows, "w": config.cols}
    operand = config.lanes * config.width
    names = plan((1, 1, 1), config).ports
    return {name: sides[name] * operand if name in sides else 1 for name in names}


def _stimulus(
    config: ArrayConfig,
    bits: dict[str, int],
    schedule: Schedule | WeightSchedule,
    form: MatrixForm,
) -> list[str]:
    """All inputs of every cycle, `a` in the lowest bits, and zeros until the array is empty."""
    streams = words(schedule.operands(form.activations, form.weights), config.width)
    columns = [[f"{word:0{bits[name]}b}" for word in streams[name]] for name in reversed(bits)]
    lines = ["".join(fields) for fields in zip(*columns, strict=True)]
    return lines + ["0" * sum(bits.values())] * schedule.empty_cycles


def _expected(
    config: ArrayConfig, schedule: Schedule | WeightSchedule, form: MatrixForm
) -> list[str]:
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
// It prints PASS; or the first differences and FAIL, with an exit code of 1.
`timescale 1ns / 1ps
module {top}_tb;
  reg clk = 0, rst = 1;
{inputs}
  wire [{sums_msb}:0] sums;
  wire valid;

  {top} dut (.clk(clk), .rst(rst), {connections}, .sums(sums), .valid(valid));

  reg [{stimulus_msb}:0] stimulus [0:{cycles} - 1];
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
      {{{together}}} = stimulus[cycle];
      @(negedge clk);
      if (valid !== 1'b0) check;
    end
    if (row != {rows}) $fatal(1, "FAIL: %0d rows of sums came out, %0d were expected", row, {rows});
    else if (compared != {bits}) $fatal(1, "FAIL: expected.mem is not the one of this bench");
    else if (wrong != 0) $fatal(1, "FAIL: %0d of %0d rows of sums are wrong", wrong, {rows});
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
