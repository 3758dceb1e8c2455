"""The bench of an accelerator's Verilog: a module around it, for `accelerator_main.cpp`."""

from dataclasses import dataclass

from hw.accelerator_verilog import TOP
from hw.argmax import class_width
from hw.program import Program


@dataclass(frozen=True)
class Trace:
    """What is recorded in chosen cycles. signals: (Verilog expression, bits) in the bench, the
    first in the lowest bits; of a longer expression its low bits. declarations: Verilog that they
    need. waves: all signals can be written to a file, too."""

    signals: tuple[tuple[str, int], ...]
    declarations: str = ""
    waves: bool = False

    @property
    def width(self) -> int:
        return sum(bits for _, bits in self.signals)


def bench_verilog(program: Program, trace: Trace | None = None) -> str:
    """Verilog of the module `bench`; its port `traced` is one bit where there is no trace."""
    config = program.config
    part = config.map_width * config.array.cols
    parts = [f"{{{part}{{parts[{p}]}}}}" for p in reversed(range(config.parts))]
    traced = [f"{bits}'({name})" for name, bits in reversed(trace.signals)] if trace else ["1'b0"]
    signals = ",\n    ".join(traced)
    return BENCH.format(
        top=TOP,
        word_msb=word_width(program) - 1,
        class_msb=class_width(config.array.cols, program.layers[-1].tiles) - 1,
        address_msb=address_width(program) - 1,
        part_msb=config.parts - 1,
        mask=", ".join(parts),
        trace_msb=trace.width - 1 if trace else 0,
        trace=signals,
        declarations=trace.declarations if trace else "",
    )


def word_width(program: Program) -> int:
    """Bits of a word of activations."""
    return program.config.map_width * program.config.channels


def address_width(program: Program) -> int:
    """Bits of an address in the memory of activations."""
    return max((program.config.activation_words - 1).bit_length(), 1)


def pe_trace(program: Program) -> Trace:
    """Every PE's activations, weights and sum, column after column."""
    array = program.config.array
    operands = array.lanes * array.width
    sizes = {"a": operands, "weights": operands, "sum": array.tile_width}
    return Trace(
        tuple(
            (f"dut.array.pe_{r}_{c}.{name}", size)
            for c in range(array.cols)
            for r in range(array.rows)
            for name, size in sizes.items()
        )
    )


def fault_trace(program: Program) -> Trace:
    """`pe_trace`, behind it the address in the memory of activations that is written, and the parts
    of its word. With waves."""
    address = ("dut.probe_write_address", address_width(program))
    parts = ("dut.probe_write_parts", program.config.parts)
    return Trace((*pe_trace(program).signals, address, parts), waves=True)


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
{declarations}
  assign traced = {{{trace}}};
endmodule
"""
