"""The PE of a weight-stationary array, which keeps its weights and adds to the sum from above."""

from amaranth import Module, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from .arithmetic import (
    PLAIN,
    add_terms,
    check_structure,
    held_inverted,
    kind_arithmetic,
    pe_arithmetic,
)
from .compressor import FullAdder, full_adder
from .config import ArrayConfig
from .distance import ALONE
from .pipeline import Arithmetic, delay


def weight_pe_signature(config: ArrayConfig) -> Signature:
    """The ports of a PE that keeps its weights; `WeightStationaryPE` says what they mean."""
    operands = ArrayLayout(config.width, config.lanes)
    return Signature(
        {
            "a": In(operands),
            "w": In(operands),
            "load": In(1),
            "swap": In(1),
            "above": In(config.tile_width),
            "a_out": Out(operands),
            "w_out": Out(operands),
            "load_out": Out(1),
            "swap_out": Out(1),
            "sum": Out(config.tile_width),
        }
    )


def reset_not_wanted(config: ArrayConfig) -> bool:
    """Whether weights, and the flags that travel with them, have no reset, whose net to all PEs
    would be a long path: what is under way at a reset stays ahead of all that comes later."""
    return config.pipeline > 0


class WeightStationaryPE(Component):
    """Adds its lanes' terms, those of `hw.pe.ProcessingElement`, to the sum from above.

    structure, adder: as of `ProcessingElement`.

    Members
    -------
    a : activations, lanes × width bits
    w : weights from above, lanes × width bits, inverted where `hw.mapping.weights_inverted`
    load : take `w` as the next weights
    swap : from the next cycle on use the weights that are the next ones now
    above : sum of the rows above; with `pipeline` of one cycle before, and of two for the bits
            from `low_width` on; inverted where `sum` is
    a_out, load_out, swap_out : the same, one cycle later, for the right neighbour
    w_out : the next weights, for the PE below
    sum : `above` and the terms that belong to it, one cycle later; inverted if `held_inverted`
    """

    def __init__(self, config: ArrayConfig, structure: str = PLAIN, adder: FullAdder = full_adder):
        check_structure(config, structure)
        self.config = config
        self.held_inverted = held_inverted(config, structure)
        self._structure = structure
        self._adder = adder
        super().__init__(weight_pe_signature(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits, layout = len(self.w.as_value()), ArrayLayout(self.config.width, self.config.lanes)
        unreset = reset_not_wanted(self.config)
        following = Signal(bits, name="next_weights", reset_less=True)
        current = Signal(layout, name="weights", reset_less=unreset)
        with m.If(self.load):
            m.d.sync += following.eq(self.w)
        with m.If(self.swap):
            m.d.sync += current.eq(following)
        pairs = [(self.a[lane], current[lane]) for lane in range(self.config.lanes)]
        arithmetic = pe_arithmetic(self.config, self._structure, self._adder)
        m.d.comb += [
            self.a_out.eq(delay(m, self.a.as_value(), 1, "a_register")),
            self.w_out.eq(following),
            self.load_out.eq(delay(m, self.load, 1, "load_register", reset_less=unreset)),
            self.swap_out.eq(delay(m, self.swap, 1, "swap_register", reset_less=unreset)),
        ]
        _add_to_sum(m, self, pairs, arithmetic)
        return m


def sum_of(part: Component) -> Value:
    """`sum` of a PE or of a row's sum as it is, wherever that is inverted."""
    return ~part.sum if part.held_inverted else part.sum


def _add_to_sum(
    m: Module,
    part: "WeightStationaryPE | StayingRowSum",
    pairs: list[tuple[Value, Value]],
    arithmetic: Arithmetic,
) -> None:
    """Make `sum` of `above` and the terms of the pairs."""
    above, total = Signal(len(part.above)), Signal(len(part.sum), name="total")
    m.d.comb += above.eq(~part.above if part.held_inverted else part.above)
    m.d.comb += total.eq(add_terms(m, above, pairs, part.config, arithmetic))
    result = ~total if part.held_inverted else total
    m.d.comb += part.sum.eq(delay(m, result, 1, "sum_register"))


def begin(m: Module, top: "WeightStationaryPE | StayingRowSum") -> None:
    """Give a column's top the sum 0 from above."""
    m.d.comb += top.above.eq(-1 if top.held_inverted else 0)


class StayingRowSum(Component):
    """Adds its lanes' activations to the sum from above; a `min` array has a column of them.
    structure, adder: as of `ProcessingElement`.

    Members
    -------
    a, above, sum : as of `WeightStationaryPE`
    """

    def __init__(self, config: ArrayConfig, structure: str = PLAIN, adder: FullAdder = full_adder):
        self.config = config
        self.held_inverted = held_inverted(config, structure)
        self._structure = structure
        self._adder = adder
        ports = weight_pe_signature(config).members
        super().__init__({name: ports[name] for name in ("a", "above", "sum")})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        arithmetic = kind_arithmetic(ALONE, self.config, self._structure, self._adder)
        _add_to_sum(m, self, [(a, a) for a in self.a], arithmetic)
        return m
