"""Tables that hold their words from the start."""

from amaranth import Array, Module, Value
from amaranth.lib.data import Layout, View
from amaranth.lib.memory import Memory

from .pipeline import delay

LOGIC_BANK = 16  # words, of which one LUT of 4 inputs makes a bit


def table(
    m: Module,
    name: str,
    layout: Layout,
    words: list,
    depth: int,
    place: Value,
    enable: Value,
    stages: int,
    bank: int = LOGIC_BANK,
    bank_stages: int = 0,
) -> View:
    """The word that was read last, of `depth`, 1 + stages + bank_stages cycles later; `enable` has
    that at `place` read.

    With stages 1 it is read in every cycle, since an enable for all banks would be a long path,
    and lies in banks, between whose outputs, bank_stages cycles later, a register chooses. Those
    with bank_stages are powers of two deep: of others synthesis makes parts with a choice before
    their first register.
    """
    size, given = min(bank, depth) if stages else depth, []
    several = depth > size
    for index, first in enumerate(range(0, depth, size)):
        title = f"{name}_{index}" if several else name
        held = min(size, depth - first)
        deep = 1 << (held - 1).bit_length() if bank_stages else held
        memory = Memory(shape=layout, depth=deep, init=words[first : first + held])
        m.submodules[title] = memory
        read = memory.read_port()
        m.d.comb += [read.addr.eq(place), read.en.eq(1 if stages else enable)]
        given.append(delay(m, read.data.as_value(), bank_stages, title))
    bank_of = place[(size - 1).bit_length() :]  # sizes of several banks are powers of two
    chosen = delay(m, bank_of, 1 + bank_stages, f"{name}_chosen") if several else 0
    return View(layout, delay(m, Array(given)[chosen], stages, f"{name}_word"))
