"""What `hw.formal` proves of weight-stationary PEs, of products by themselves, of the sums of
activations that `min` takes, and of whole arrays."""

from amaranth import Cat, Const, Module, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from .arithmetic import PLAIN, pe_arithmetic
from .config import ArrayConfig
from .formal import WRONG, connect_inputs, limits, term
from .pe import ProcessingElement, RowSum, accumulator
from .pipeline import delay, in_step
from .systolic import SystolicArray, array_signature
from .weight_pe import WeightStationaryPE, reset_not_wanted, sum_of, weight_pe_signature


class StayingMiter(Component):
    """A weight-stationary PE beside its plain specification. `wrong` is high when its sum is not,
    as an integer, the sum from above and its own terms, with a sum from above within what the rows
    above can give and no reset since; or when it hands on other weights than the next ones."""

    def __init__(self, config: ArrayConfig, structure: str = PLAIN):
        self.config = config
        self._pe = WeightStationaryPE(config, structure)
        inputs = weight_pe_signature(config).members
        names = ("a", "w", "load", "swap", "above")
        super().__init__({name: inputs[name] for name in names} | {WRONG: Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, pe = self.config, self._pe
        m.submodules.pe = pe
        m.d.comb += [getattr(pe, name).eq(getattr(self, name)) for name in ("a", "w", "load")]
        low = delay(m, self.above[: config.low_width], config.low_latency, "above_low")
        high = delay(m, self.above[config.low_width :], config.pipeline, "above_high")
        above = Cat(low, high)
        m.d.comb += [pe.swap.eq(self.swap), pe.above.eq(~above if pe.held_inverted else above)]
        following = Signal(len(self.w.as_value()), reset_less=True)
        current = Signal(self.w.shape(), reset_less=reset_not_wanted(config))
        with m.If(self.load):
            m.d.sync += following.eq(self.w)
        with m.If(self.swap):
            m.d.sync += current.eq(following)
        above = self.above.as_signed() if config.pe == "mac" else self.above
        total = Signal(signed(config.tile_width + 2))
        pairs = zip(self.a, current, strict=True)
        m.d.comb += total.eq(above + sum(term(config.pe, a, w) for a, w in pairs))
        least, most = (bound * (config.rows - 1) * config.lanes for bound in limits(config))
        latency = config.pipeline + 1
        total, counts = (
            delay(m, value, latency, f"late_{index}")
            for index, value in enumerate((total, (least <= above) & (above <= most)))
        )
        given = in_step(m, sum_of(pe), config, "sum_low")
        given = given.as_signed() if config.pe == "mac" else given
        started = delay(m, Const(1), latency, "started", reset_less=False)
        m.d.comb += self.wrong.eq(
            started & counts & (given != total) | (pe.w_out.as_value() != following)
        )
        return m


class RowSumMiter(Component):
    """A `RowSum` beside a `min` PE whose weights are the activations, so that it sums these:
    `wrong` is high when their sums differ."""

    def __init__(self, config: ArrayConfig, structure: str = PLAIN):
        self.config = config
        self._parts = ProcessingElement(config, structure), RowSum(config, structure)
        ports = self._parts[1].signature.members
        inputs = {name: port for name, port in ports.items() if port.flow is In}
        super().__init__(inputs | {WRONG: Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pe, m.submodules.row_sum = pe, row_sum = self._parts
        connect_inputs(m, self, pe, w=self.a)
        connect_inputs(m, self, row_sum)
        m.d.comb += self.wrong.eq((pe.sum != row_sum.sum) | (pe.sum_last != row_sum.sum_last))
        return m


class StepMiter(Component):
    """A PE's sum of a cycle by itself, without registers: `wrong` is high when it is not `before`
    and the terms of `a` and `w`, modulo the accumulator's width."""

    def __init__(self, config: ArrayConfig, structure: str = PLAIN):
        self.config = config
        self._structure = structure
        bits = config.width * config.lanes
        super().__init__(
            {"before": In(config.pe_acc_width), "a": In(bits), "w": In(bits), WRONG: Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.config.width
        pairs = [
            (self.a.word_select(lane, width), self.w.word_select(lane, width))
            for lane in range(self.config.lanes)
        ]
        step = pe_arithmetic(self.config, self._structure).step
        right = Signal(len(self.before))
        m.d.comb += right.eq(self.before + sum(term(self.config.pe, a, w) for a, w in pairs))
        m.d.comb += self.wrong.eq(step(m, self.before, pairs) != right)
        return m


class ArrayMiter(Component):
    """An output-stationary array beside sums that are kept without skew. `wrong` is high when
    `valid` is not a tile's end so many cycles later, or when then a row's sums are not those of the
    tile; as long as ends of tiles were `rows` cycles apart. Of sums of up to `depth` terms."""

    def __init__(self, config: ArrayConfig):
        self.config = config
        inputs = array_signature(config).members
        super().__init__({name: inputs[name] for name in ("a", "w", "last")} | {WRONG: Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.array = array = SystolicArray(config)
        m.d.comb += [getattr(array, name).eq(getattr(self, name)) for name in ("a", "w", "last")]
        latency = config.cols + config.drain_stages - 1 + config.pipeline
        wrong, ends = Signal(), []
        for r, a in enumerate(self.a):
            end = delay(m, self.last, latency + r, f"end_{r}", reset_less=False)
            ends.append(end)
            for c, w in enumerate(self.w):
                total = Signal(config.acc_width, name=f"total_{r}_{c}")
                acc = accumulator(m, total, self.last, f"acc_{r}_{c}")
                pairs = zip(a, w, strict=True)
                m.d.comb += total.eq(acc + sum(self._term(x, f) for x, f in pairs))
                late = delay(m, total, latency + r, f"late_{r}_{c}")
                with m.If(end & (array.sums[c] != late)):
                    m.d.comb += wrong.eq(1)
        with m.If(array.valid != sum(ends)):
            m.d.comb += wrong.eq(1)
        m.d.comb += self.wrong.eq(wrong & ~self._too_soon(m))
        return m

    def _term(self, a: Value, w: Value) -> Value:
        """`min` arrays give Σ|a − w| − Σw."""
        return abs(a - w) - w if self.config.pe == "min" else term(self.config.pe, a, w)

    def _too_soon(self, m: Module) -> Value:
        """Whether two ends have come less than `rows` cycles apart, now or before."""
        before = [delay(m, self.last, n, f"before_{n}", False) for n in range(1, self.config.rows)]
        now, ever = Signal(), Signal()
        m.d.comb += now.eq(ever | self.last & (sum(before) != 0))
        m.d.sync += ever.eq(now)
        return now
