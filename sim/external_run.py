"""Runs an IP block with an external memory in a bench of its own on Verilator: whole layers, every
code, and the cycles in which weights were waited for, at any latency and bandwidth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw.accelerator_config import AcceleratorConfig
from hw.external.axi import ADDRESS_WIDTH
from hw.external.image import program_image
from hw.formats import hardware_formats
from hw.program import Program
from hw.shell.ip import TOP, ip_verilog
from hw.shell.registers import register_map
from hw.shell.self_test import StoredImages
from hw.tools import failed, run

from .accelerator_bench import word_width
from .accelerator_run import Run, build_sources, read_maps, stored, write_images

FULL = 256  # of the share of cycles in which the memory gives a beat
LOAD = 8  # of CONTROL
LEAST_BEATS = 2**20  # of a memory, for other programs on the same hardware
CLASS_BITS, COUNT_BITS = 12, 26  # of an answer of the bench; a class has a bit more if unsound


@dataclass(frozen=True, kw_only=True)
class StreamedRun:
    """run: its cycles are those without what was waited for; with maps in the external memory, also
    without those in which images come, which take as long as that takes. starved: cycles in which
    weights or maps were waited for until each answer."""

    run: Run
    starved: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A bench's executable. program: which it, and the size of its memories, are made for."""

    program: Program
    simulator: Path


def build_hardware(program: Program, folder: Path) -> Hardware:
    """An IP block, without images for its self-test, in its bench; built in `folder`. ToolError
    when Verilator is missing or fails."""
    codes, classes = np.empty((0, *program.image_shape), np.int64), np.empty(0, np.int64)
    verilog = ip_verilog(program, StoredImages(codes=codes, classes=classes))
    sources = {f"{TOP}.v": verilog, "bench.v": _bench(program)}
    return Hardware(program=program, simulator=build_sources(program, folder.resolve(), sources))


def run_streamed(
    program: Program,
    codes: np.ndarray,
    folder: Path,
    latency: int = 10,
    share: int = FULL,
    hardware: Hardware | None = None,
) -> StreamedRun:
    """Runs images, codes (images, channels, rows, columns), back to back, once the program is
    loaded and the reader's memory is full. latency: cycles from a burst's address to its first
    beat. share: of 256 cycles, those in which the memory gives a beat, at random. hardware: in
    place of that which is made for this program. Writes everything into `folder`. ToolError when
    Verilator is missing or fails, or a run stops before the last answer, ValueError when the
    hardware cannot run the program."""
    folder, hardware = folder.resolve(), hardware or build_hardware(program, folder)
    folder.mkdir(parents=True, exist_ok=True)
    image = program_image(program, hardware_formats(hardware.program))
    _write_hex(folder / "memory.hex", image, program.config.external_width // 8)
    setup = (latency, share, program.image.words - 1)
    (folder / "setup.hex").write_text("".join(f"{one:x}\n" for one in setup), encoding="utf-8")
    name, config, count = folder / "images", program.config, len(codes)
    write_images(program, codes, name.with_suffix(".images"))
    beats = program.config.word_beats * (len(program.weights) + config.weight_words)
    settles = 20 * (latency + 1000) + 16 * len(image) // (config.external_width // 8)
    limit = settles + count * (2 * program.cycles + 40 * beats * FULL // share)
    numbers = (count, count * program.image.words, min(settles, 200_000), limit)
    files = [str(name.with_suffix(ending)) for ending in (".images", ".answers", ".maps")]
    places = [str(n) for one in stored(program) for n in (one.target.base, one.target.words)]
    words = [*map(str, numbers), "", *files, "-", *places]
    run([str(hardware.simulator), *words], folder, name.with_suffix(".log"))
    answers = _read_answers(name, count)
    classes, starved, busy = (
        answers[:, 0] >> low & 2**bits - 1
        for low, bits in (
            (0, CLASS_BITS),
            (CLASS_BITS, COUNT_BITS),
            (CLASS_BITS + COUNT_BITS, COUNT_BITS),
        )
    )
    positions = np.arange(count)
    cycles = answers[:, 1] - 1  # an answer leaves the shell a cycle later
    if program.maps:
        cycles = program.cycles + program.interval * positions
        cycles += busy - program.busy_cycles * (positions + 1)
    return StreamedRun(
        run=Run(
            program=program,
            classes=classes,
            cycles=cycles - starved,
            positions=positions,
            words=read_maps(program, name, count),
        ),
        starved=starved,
    )


def _read_answers(name: Path, count: int) -> np.ndarray:
    """What the bench answered, and when. ToolError when the run met its limit before."""
    answers = np.fromfile(name.with_suffix(".answers"), np.int64).reshape(-1, 2)
    if len(answers) != count:
        raise failed("the accelerator gave too few answers", name.with_suffix(".log"))
    return answers


def _write_hex(path: Path, image: bytes, beat: int) -> None:
    whole = image.ljust(-(-len(image) // beat) * beat, b"\0")
    beats = np.frombuffer(whole, np.uint8).reshape(-1, beat)[:, ::-1]
    path.write_text("".join(f"{bytes(one).hex()}\n" for one in beats), encoding="utf-8")


def _bench(program: Program) -> str:
    config = program.config
    part, beat = config.map_width * config.array.cols, config.external_width // 8
    parts = [f"{{{part}{{parts[{p}]}}}}" for p in reversed(range(config.parts))]
    offsets = {register.name: register.offset for register in register_map(program)}
    size = len(program_image(program, hardware_formats(program)))
    map_words = sum(place.words for place in program.maps.values())
    memories = {"m_axi": (max(-(-size // beat), LEAST_BEATS), "memory.hex")}
    if program.maps:
        memories["m_axi_maps"] = (max(map_words * config.map_beats, LEAST_BEATS), "")
    sides = {name: _memory(name, config, *facts) for name, facts in memories.items()}
    return BENCH.format(
        top=TOP,
        word_msb=word_width(program) - 1,
        bus_bits=-(-word_width(program) // 8) * 8,
        address_msb=max((config.activation_words - 1).bit_length(), 1) - 1,
        part_msb=config.parts - 1,
        mask=", ".join(parts),
        memories="".join(text for text, _ in sides.values()),
        connections="".join(f",\n    {ports}" for _, ports in sides.values()),
        axi_msb=ADDRESS_WIDTH - 1,
        control=offsets["CONTROL"],
        load=LOAD,
        full=FULL,
        class_msb=CLASS_BITS - 2,
        count_msb=COUNT_BITS - 1,
    )


def _memory(name: str, config: AcceleratorConfig, words: int, file: str) -> tuple[str, str]:
    """A memory, and the ports of the block that go to it; only maps are written."""
    reads = ["araddr", "arlen", "rdata", *_FLAGS.split()[:5]]
    writes = ["awaddr", "wdata", *_FLAGS.split()[5:]]
    if file:
        own = [f".{port}({name}_{port})" for port in reads] + [".awvalid(1'b0), .wvalid(1'b0)"]
        used = reads
    else:
        used = reads + writes
        own = [f".{port}({name}_{port})" for port in used]
    text = MEMORY.format(
        name=name,
        axi_msb=ADDRESS_WIDTH - 1,
        beat_msb=config.external_width - 1,
        width=config.external_width,
        wires=", ".join(f"{name}_{flag}" for flag in _FLAGS.split()),
        words=words,
        shift=(config.external_width // 8 - 1).bit_length(),
        file=file,
        ports=", ".join(own),
    )
    return text, ", ".join(f".{name}_{port}({name}_{port})" for port in used)


BENCH = """\
// Bench of {top} with memories.
module bench (
  input clk, input rst,
  input [{word_msb}:0] word, input offered, output ready,
  output [63:0] answer, output answered,
  output [{address_msb}:0] write_address,
  output [{word_msb}:0] write_word, output [{word_msb}:0] write_mask,
  output written, output layer_ends, output traced);

  // one write of LOAD to CONTROL
  reg asked;
  wire asks;
  always @(posedge clk) if (rst) asked <= 0; else if (asks) asked <= 1;

  reg [31:0] sent, setup [0:2];
  initial $readmemh("setup.hex", setup);
  wire last = sent == setup[2];
  always @(posedge clk)
    if (rst) sent <= 0; else if (offered && ready) sent <= last ? 0 : sent + 1;

{memories}
  wire [31:0] tdata;
  {top} dut (
    .aclk(clk), .aresetn(~rst),
    .s_axis_tdata({bus_bits}'(word)), .s_axis_tvalid(offered), .s_axis_tready(ready),
    .s_axis_tlast(last),
    .m_axis_tdata(tdata), .m_axis_tvalid(answered), .m_axis_tready(1'b1),
    .s_axi_awaddr({control}), .s_axi_awvalid(~asked), .s_axi_awready(asks),
    .s_axi_wdata({load}), .s_axi_wstrb(4'hf), .s_axi_wvalid(~asked), .s_axi_bready(1'b1),
    .s_axi_arvalid(1'b0), .s_axi_rready(1'b1){connections});

  reg [{count_msb}:0] busy;
  always @(posedge clk) if (rst) busy <= 0; else busy <= busy + !dut.shell.counters.idle;
  wire [{count_msb}:0] starved = dut.shell.counters.starvation;
  assign answer = {{busy, starved, |tdata[31:30], tdata[{class_msb}:0]}};
  assign write_address = dut.shell.accelerator.probe_write_address;
  assign write_word = dut.shell.accelerator.probe_write_word;
  wire [{part_msb}:0] parts = dut.shell.accelerator.probe_write_parts;
  assign write_mask = {{{mask}}};
  assign written = |parts;
  assign layer_ends = dut.shell.accelerator.probe_layer_ends;
  assign traced = 0;
endmodule

// Reads are answered one burst after the other, the first beat `setup[0]` cycles after its address
// at the earliest; beats move in `setup[1]` of {full} cycles, at random.
module memory #(parameter WIDTH = 32, WORDS = 1, SHIFT = 2, FILE = "") (
  input clk, input rst,
  input [{axi_msb}:0] araddr, input [7:0] arlen, input arvalid, output arready,
  output [WIDTH-1:0] rdata, output rlast, output rvalid, input rready,
  input [{axi_msb}:0] awaddr, input awvalid, output awready,
  input [WIDTH-1:0] wdata, input wlast, input wvalid, output wready,
  output bvalid, input bready);

  reg [31:0] setup [0:2];
  reg [WIDTH-1:0] content [0:WORDS-1];
  initial $readmemh("setup.hex", setup);
  initial if (FILE != "") $readmemh(FILE, content);

  reg [31:0] now, random;
  wire moves = {{24'd0, random[7:0]}} < setup[1];

  reg [31:0] first [0:15], due [0:15], beat;
  reg [8:0] size [0:15];
  reg [3:0] head, tail;
  assign arready = (tail + 4'd1) != head;
  assign rvalid = head != tail && now >= due[head] && moves;
  assign rdata = content[first[head] + beat];
  assign rlast = beat + 1 == {{23'd0, size[head]}};

  reg [31:0] to, answer_due [0:15];
  reg writes;
  reg [3:0] answer_head, answer_tail;
  assign awready = ~writes && (answer_tail + 4'd1) != answer_head;
  assign wready = writes && moves;
  assign bvalid = answer_head != answer_tail && now >= answer_due[answer_head];

  always @(posedge clk) begin
    now <= now + 1;
    random <= {{random[30:0], random[31] ^ random[21] ^ random[1] ^ random[0]}};
    if (arvalid && arready) begin
      first[tail] <= araddr >> SHIFT;
      size[tail] <= arlen + 9'd1;
      due[tail] <= now + setup[0];
      tail <= tail + 1;
    end
    if (rvalid && rready) begin
      beat <= rlast ? 0 : beat + 1;
      if (rlast) head <= head + 1;
    end
    if (awvalid && awready) begin
      to <= awaddr >> SHIFT;
      writes <= 1;
    end
    if (wvalid && wready) begin
      content[to] <= wdata;
      to <= to + 1;
      if (wlast) begin
        writes <= 0;
        answer_due[answer_tail] <= now + setup[0];
        answer_tail <= answer_tail + 1;
      end
    end
    if (bvalid && bready) answer_head <= answer_head + 1;
    if (rst) begin
      head <= 0; tail <= 0; now <= 0; beat <= 0; random <= 32'h1234567;
      writes <= 0; answer_head <= 0; answer_tail <= 0;
    end
  end
endmodule
"""

MEMORY = """\
  wire [{axi_msb}:0] {name}_araddr, {name}_awaddr;
  wire [7:0] {name}_arlen;
  wire [{beat_msb}:0] {name}_rdata, {name}_wdata;
  wire {wires};
  memory #(.WIDTH({width}), .WORDS({words}), .SHIFT({shift}), .FILE("{file}")) {name} (
    .clk(clk), .rst(rst), {ports});
"""
_FLAGS = "arvalid arready rlast rvalid rready awvalid awready wlast wvalid wready bvalid bready"
