"""The accelerator as an IP block: AXI4-Stream in and out, AXI4-Lite registers, a self-test."""

from collections.abc import Callable

from amaranth import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Out, Signature, connect

from ..accelerator import Accelerator
from ..accelerator_config import AcceleratorConfig
from ..config import ArrayConfig
from ..external.axi import PAGE, READ_PORTS, WRITE_PORTS, axi_members, connect_axi
from ..external.engines import Reading, Writing
from ..external.mover import MOVES
from ..external.reader import ProgramReader
from ..program import Program
from ..weight_pe import WeightStationaryPE
from .axi_lite import PORTS, axi_lite_members
from .counters import Counters
from .packets import Packets
from .register_block import RegisterBlock
from .registers import ADDRESS_WIDTH, register_map
from .self_test import SelfTest, StoredImages

ANSWER_BITS = 32
MALFORMED_BIT, UNSOUND_BIT = 31, 30  # of an answer


def shell_signature(program: Program) -> Signature:
    """The members of `Shell`, flat, as they are called in Verilog."""
    return Signature(
        {
            "s_axis_tdata": In(-(-program.word_bits // 8) * 8),
            "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1),
            "s_axis_tlast": In(1),
            "m_axis_tdata": Out(ANSWER_BITS),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
            "m_axis_tlast": Out(1),
        }
        | axi_lite_members("s_axi", ADDRESS_WIDTH)
        | _external_members(program.config)
    )


def _external_members(config: AcceleratorConfig) -> dict:
    if config.external == "none":
        return {}
    width = config.external_width
    maps = axi_members(READ_PORTS | WRITE_PORTS, "m_axi_maps", width)
    programs = axi_members(READ_PORTS, "m_axi", width)
    return programs | (maps if config.external == "maps" else {})


class Shell(Component):
    """An accelerator that answers packets with packets.

    s_axis: an image is a packet of `Program.image_words`, a word a beat: the codes of its rows ·
    lanes channels from the lowest bits on, filled up to whole bytes. Each packet gets one answer on
    m_axis, in order, a packet of one beat of 32 bits: the class, and in bit 31 whether TLAST came
    too early or too late, for which the class means nothing. s_axi: the registers of
    `hw.shell.registers`. Everything is of the domain "sync".

    With an external memory m_axi reads the program, see `hw.external.reader`; images wait until one
    has been loaded, and bit 30 of an answer says that a read failed, so that it means nothing.

    images: of the self-test, with the classes that the program has for them that the hardware is
    made for. pe: as of `hw.accelerator.Accelerator`.

    Members
    -------
    s_axis_… : images
    m_axis_… : answers
    s_axi_… : registers
    m_axi_… : programs; only with an external memory
    m_axi_maps_… : maps; only with those in an external memory
    """

    def __init__(
        self,
        program: Program,
        images: StoredImages,
        pe: Callable[[ArrayConfig], Component] = WeightStationaryPE,
    ):
        word_bits = program.word_bits
        self._accelerator = Accelerator(program, pe)
        formats = self._accelerator.formats
        self._external = program.config.external != "none"
        self._reader = ProgramReader(formats) if self._external else None
        width, maps = program.config.external_width, program.config.external == "maps"
        self._engines = (Reading(width), Writing(width)) if maps else ()
        self._packets = Packets(word_bits, formats.image_words)
        class_bits = len(self._accelerator.o_class.payload)
        self._self_test = SelfTest(program, images, word_bits, class_bits)
        self._counters = Counters(formats.layers)
        self._registers = RegisterBlock(register_map(program))
        self._flags = SyncFIFO(width=1, depth=2)  # at most two images wait for their answers
        super().__init__(shell_signature(program))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers, m.submodules.packets = self._registers, self._packets
        m.submodules.accelerator = self._restarted(self._accelerator)
        m.submodules.self_test = self._restarted(self._self_test)
        m.submodules.counters = self._restarted(self._counters)
        m.submodules.flags = self._restarted(self._flags)
        test = self._self_test
        m.d.comb += [
            self._packets.forget.eq(self._resets),
            self._packets.cut.eq(test.runs & (self._resets | test.ends)),
            self._packets.last_word.eq(self._accelerator.settings.last_image_word),
        ]
        self._take(m)
        self._answer(m)
        self._test(m)
        self._count(m)
        self._serve(m)
        if self._external:
            self._read(m)
        if self._engines:
            self._move(m)
        return m

    @property
    def _failed(self) -> Value:
        """Whether the external memory answered anything with an error."""
        return Cat(self._reader.failed, *(engine.failed for engine in self._engines)).any()

    @property
    def _resets(self) -> Value:
        registers = self._registers
        return registers.reset | registers.load if self._external else registers.reset

    def _restarted(self, part: Component) -> Component:
        """The part, reset by CONTROL too."""
        return ResetInserter(self._resets)(part)

    def _read(self, m: Module) -> None:
        """The reader outlives a reset by CONTROL, as reads that have been asked for do."""
        m.submodules.reader = reader = self._reader
        registers, accelerator = self._registers, self._accelerator
        connect(m, reader.o_beats, accelerator.i_program)
        connect_axi(m, READ_PORTS, self, "m_axi", reader, "m_axi")
        settings = accelerator.settings
        m.d.comb += [
            reader.base.eq(Cat(registers.base_low, registers.base_high)),
            reader.load.eq(registers.load),
            reader.restart.eq(registers.reset),
            registers.loaded.eq(accelerator.loaded),
            registers.unknown.eq(reader.refused),
            registers.failed.eq(self._failed),
            Cat(registers.program_low, registers.program_high).eq(reader.header.program),
            registers.image_words.eq(settings.last_image_word + 1),
            registers.classes.eq(settings.classes),
            registers.layers.eq(settings.last_layer + 1),
            registers.starved.eq(self._counters.starvation),
            self._counters.starved.eq(accelerator.sequencer.starved),
        ]

    def _take(self, m: Module) -> None:
        """Packets to the accelerator: those from outside, and between them the self-test's. A word
        that is on offer stays until it is taken."""
        packets, test, image = self._packets, self._self_test, self._accelerator.i_image
        packet, own, runs, outside = packets.i_packet, test.o_packet, test.runs, Signal()
        free, offered = Signal(), Signal()  # offered: in the cycle before, but not taken
        waits = packets.o_image.valid & ~packets.o_image.ready
        m.d.sync += offered.eq(waits & ~self._resets)
        m.d.comb += [
            free.eq(packets.between & ~offered),
            test.go.eq(free & (self._flags.level == 0)),
            outside.eq(~runs & ~(test.waits & free)),
            packet.valid.eq(Mux(runs, own.valid, outside & self.s_axis_tvalid)),
            packet.payload.word.eq(Mux(runs, own.payload.word, self.s_axis_tdata)),
            packet.payload.last.eq(Mux(runs, own.payload.last, self.s_axis_tlast)),
            self.s_axis_tready.eq(outside & packet.ready),
            own.ready.eq(runs & packet.ready),
            image.payload.as_value().eq(packets.o_image.payload),
            image.valid.eq(packets.o_image.valid),
            packets.o_image.ready.eq(image.ready),
            self._flags.w_en.eq(packets.taken),
            self._flags.w_data.eq(packets.early | packets.late),
        ]

    def _answer(self, m: Module) -> None:
        """An answer that is on offer outlives a reset by CONTROL, as AXI demands."""
        answer, free = self._accelerator.o_class, Signal()
        m.d.comb += [
            free.eq(~self.m_axis_tvalid | self.m_axis_tready),
            answer.ready.eq(self._self_test.runs | free),
            self._flags.r_en.eq(answer.valid & answer.ready),
            self.m_axis_tlast.eq(1),
        ]
        with m.If(free):
            m.d.sync += [
                self.m_axis_tvalid.eq(answer.valid & ~self._self_test.runs),
                self.m_axis_tdata[:UNSOUND_BIT].eq(answer.payload),
                self.m_axis_tdata[MALFORMED_BIT].eq(self._flags.r_data),
            ]
            if self._external:
                m.d.sync += self.m_axis_tdata[UNSOUND_BIT].eq(self._failed)

    def _test(self, m: Module) -> None:
        test, answer = self._self_test, self._accelerator.o_class
        m.d.comb += [
            test.start.eq(self._registers.self_test),
            test.answered.eq(answer.valid & answer.ready),
            test.answer.eq(answer.payload),
        ]

    def _move(self, m: Module) -> None:
        """The engines, too, outlive a reset by CONTROL."""
        reading, writing = self._engines
        m.submodules.reading, m.submodules.writing = reading, writing
        connect_axi(m, READ_PORTS, self, "m_axi_maps", reading, "axi")
        connect_axi(m, WRITE_PORTS, self, "m_axi_maps", writing, "axi")
        ports = reading.i_command, reading.o_beats, writing.i_command, writing.i_beats
        for name, port in zip(MOVES, ports, strict=True):
            connect(m, getattr(self._accelerator, name), port)
        registers = self._registers
        page = PAGE.bit_length() - 1
        for engine in self._engines:
            m.d.comb += [
                engine.base[page:].eq(Cat(registers.maps_low, registers.maps_high)[page:]),
                engine.restart.eq(self._resets),
            ]

    def _count(self, m: Module) -> None:
        sequencer, answer = self._accelerator.sequencer, self._accelerator.o_class
        counters, registers = self._counters, self._registers
        m.d.comb += [
            counters.last_layer.eq(self._accelerator.settings.last_layer),
            counters.clear.eq(registers.clear),
            counters.idle.eq(sequencer.idle & ~sequencer.step & ~counters.starved),
            counters.layer_starts.eq(sequencer.load),
            counters.answered.eq(answer.valid & answer.ready),
            counters.refused.eq(self._flags.r_data),
            counters.stalled.eq(answer.valid & ~answer.ready),
            counters.layer.eq(registers.layer_cycles_index),
            registers.layer_cycles.eq(counters.layer_cycles),
            registers.images.eq(counters.images),
            registers.refused.eq(counters.refusals),
            registers.image_cycles.eq(counters.image_cycles),
            registers.waited.eq(counters.waited),
            registers.stalled.eq(counters.stalls),
        ]

    def _serve(self, m: Module) -> None:
        registers, packets, test = self._registers, self._packets, self._self_test
        for name, (flow, _) in PORTS.items():
            outer, inner = getattr(self, f"s_axi_{name}"), getattr(registers, f"s_axi_{name}")
            m.d.comb += inner.eq(outer) if flow is In else outer.eq(inner)
        pending = ~packets.between | (self._flags.level != 0) | self.m_axis_tvalid
        m.d.comb += [
            registers.busy.eq(pending),
            registers.testing.eq(test.waits | test.runs),
            registers.tested.eq(test.tested),
            registers.passed.eq(test.passed),
            registers.early.eq(packets.taken & packets.early),
            registers.late.eq(packets.taken & packets.late),
        ]
