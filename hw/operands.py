"""Operands: what the array takes of the codes of a word of activations."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.data import View

from .formats import Formats


def operands(
    formats: Formats, m: Module, layer: View, word: Value, blank: Value, operand_bit: Value
) -> Value:
    """A word's operands, rows · lanes of them, as `hw.interpreter.operands` has them.

    word: codes of a pixel's channels. blank: a bit for each channel that is padding or only fills
    up the word. operand_bit: of an ordinary layer in an `xnor` array. Without binary layers, and
    layers that take fewer bits than there are, an operand is the code.
    """
    config, bits = formats.config, []
    for channel in range(config.channels):
        code = word.word_select(channel, config.map_width)
        number = _rounded(m, layer, code, channel) if formats.rounds else code
        if config.array.pe == "xnor":
            chosen = Cat(number.bit_select(operand_bit, 1), Const(0, 1))
        else:
            chosen = number[: config.array.width]
        if formats.signs:
            sign = (code >= layer.in_zero) & ~blank[channel]
            low = sign | blank[channel] if config.array.pe == "xnor" else blank[channel]
            chosen = Mux(layer.signs, Cat(low, sign), chosen)[: len(chosen)]
        bits.append(chosen)
    return Cat(bits)


def _rounded(m: Module, layer: View, code: Value, channel: int) -> Value:
    """min((code + half) >> drop, most), most being 2**bits − 1."""
    wide, most = (Signal(len(code), name=f"{name}_{channel}") for name in ("rounded", "most"))
    m.d.comb += [wide.eq((code + layer.half) >> layer.drop), most.eq(layer.most)]
    over = (wide & ~most).any()  # of all bits: the descriptor's field may have fewer
    return (wide | over.replicate(len(wide))) & most
