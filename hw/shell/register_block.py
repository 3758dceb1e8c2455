"""The registers as hardware: whatever `hw.shell.registers` lists, behind AXI4-Lite."""

from amaranth import Module, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from .axi_lite import PORTS, AxiLite, axi_lite_members
from .registers import ADDRESS_WIDTH, WORD, Field, Register


class RegisterBlock(Component):
    """Answers reads and writes of registers. Addresses are of bytes; the two lowest bits say
    nothing. What is not in the list, or not to be read or written, is answered with SLVERR.

    Members, their names in small letters
    -------
    s_axi_… : the channels of AXI4-Lite
    of a register without fields that is no constant : its number; what was written, if it is
            writable
    of several such : its number, one cycle after `<name>_index`, which says of which
    of a field with access "read" : its bits
    of one with "write" : a 1 was written, in this cycle
    of one with "clear" : it is set in this cycle, and stays so until a 1 is written
    """

    def __init__(self, registers: tuple[Register, ...]):
        self.registers = registers
        members = axi_lite_members("s_axi", ADDRESS_WIDTH)
        for register in registers:
            name = register.name.lower()
            if register.value is None and not register.fields:
                members[name] = (Out if register.writable else In)(8 * WORD)
            if register.count:
                members[f"{name}_index"] = Out(range(register.count))
            for field in register.fields:
                flow = Out if field.access == "write" else In
                members[field.name.lower()] = flow(field.bits)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.axi = axi = AxiLite(ADDRESS_WIDTH)
        for name, (flow, _) in PORTS.items():
            outer, inner = getattr(self, f"s_axi_{name}"), getattr(axi, f"axi_{name}")
            m.d.comb += inner.eq(outer) if flow is In else outer.eq(inner)
        asked = Signal(ADDRESS_WIDTH)
        m.d.sync += asked.eq(axi.read_address)
        for register in self.registers:
            written = Signal(name=f"{register.name}_written")
            m.d.comb += written.eq(axi.write & _holds(register, axi.write_address))
            if register.writable:
                with m.If(written):
                    m.d.sync += getattr(self, register.name.lower()).eq(axi.write_data)
            value = self._value(m, register, axi.write_data & written.replicate(8 * WORD))
            if register.count:
                index = getattr(self, f"{register.name.lower()}_index")
                m.d.comb += index.eq((axi.read_address - register.offset) // WORD)
            if register.access != "write-only":
                with m.If(_holds(register, asked)):
                    m.d.comb += [axi.read_data.eq(value), axi.read_known.eq(1)]
            if register.access != "read-only":
                with m.If(_holds(register, axi.write_address)):
                    m.d.comb += axi.write_known.eq(1)
        return m

    def _value(self, m: Module, register: Register, written: Value) -> Value | int:
        """What is read; acts on what is written."""
        if register.value is not None:
            return register.value
        if not register.fields:
            return getattr(self, register.name.lower())
        value = Signal(8 * WORD, name=register.name)
        for field in register.fields:
            here, one = slice(field.low, field.low + field.bits), getattr(self, field.name.lower())
            if field.access == "write":
                m.d.comb += one.eq(written[here])
            else:
                m.d.comb += value[here].eq(self._kept(m, field, one, written[here]))
        return value

    def _kept(self, m: Module, field: Field, one: Value, written: Value) -> Value:
        if field.access == "read":
            return one
        kept = Signal(field.bits, name=field.name)
        m.d.sync += kept.eq((kept & ~written) | one)
        return kept


def _holds(register: Register, address: Value) -> Value:
    """Whether the address is the register's, or one of its equals'."""
    first, number = register.offset // WORD, address[2:]
    if not register.count:
        return number == first
    return (number >= first) & (number < first + register.count)
