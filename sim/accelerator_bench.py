"""The bench of an accelerator's Verilog: a module around it, for `accelerator_main.cpp`."""

from hw.accelerator_verilog import TOP
from hw.argmax import class_width
from hw.program import Program


def bench_verilog(program: Program, traces: bool = False) -> str:
    """Verilog of the module `bench`. traces: `traced` has every PE's activations, weights and sum,
    column after column from the lowest bits on, and above them the address in the memory of
    activations that is written and the parts of its word; else it is one bit."""
    config = program.config
    part = config.map_width * config.array.cols
    parts = [f"{{{part}{{parts[{p}]}}}}" for p in reversed(range(config.parts))]
    trace = ", ".join(_traced(program)) if traces else "1'b0"
    return BENCH.format(
        top=TOP,
        word_msb=word_width(program) - 1,
        class_msb=class_width(config.array.cols, program.layers[-1].tiles) - 1,
        address_msb=address_width(program) - 1,
        part_msb=config.parts - 1,
        mask=", ".join(parts),
        trace_msb=trace_width(program) - 1 if traces else 0,
        trace=trace,
    )


def word_width(program: Program) -> int:
    """Bits of a word of activations."""
    return program.config.map_width * program.config.channels


def address_width(program: Program) -> int:
    """Bits of an address in the memory of activations."""
    return max((program.config.activation_words - 1).bit_length(), 1)


def pes_width(program: Program) -> int:
    """Bits of the PEs in `traced`."""
    array = program.config.array
    return array.rows * array.cols * (2 * array.lanes * array.width + array.tile_width)


def trace_width(program: Program) -> int:
    """Bits of `traced`."""
    return pes_width(program) + address_width(program) + program.config.parts


def _traced(program: Program) -> list[str]:
    """The highest bits first."""
    array = program.config.array
    names = [f"dut.array.pe_{r}_{c}" for c in range(array.cols) for r in range(array.rows)]
    writes = "dut.probe_write_parts, dut.probe_write_address"
    return [writes, *(f"{name}.sum, {name}.weights, {name}.a" for name in reversed(names))]


BENCH = """\
// Bench of {top}.
module bench (
  input clk, input rst,
  input [{word_msb}:0] word, input offered, output ready,
  output [{class_msb}:0] answer, output answered,
  output [{address_msb}:0] write_address,
  output [{word_msb}:0] write_word, output [{word_msb}:0] write_mask,
  output written, output layer_ends,
  output [{trace_msb}:0] traced);

  {top} dut (
    .clk(clk), .rst(rst),
    .i_image__payload(word), .i_image__valid(offered), .i_image__ready(ready),
    .o_class__payload(answer), .o_class__valid(answered), .o_class__ready(1'b1));

  assign write_address = dut.probe_write_address;
  assign write_word = dut.probe_write_word;
  wire [{part_msb}:0] parts = dut.probe_write_parts;
  assign write_mask = {{{mask}}};
  assign written = |dut.probe_write_parts;
  assign layer_ends = dut.probe_layer_ends;
  assign traced = {{{trace}}};
endmodule
"""
