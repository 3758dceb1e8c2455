"""Proofs that a PE accumulates what it should, by induction over cycles with Yosys' SAT solver.

The proof is for every sequence of operands, `last` and reset, at the configuration's own width,
lanes and depth. Nothing is assumed about the accumulator but that it starts clear.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.back import rtlil
from amaranth.lib.wiring import Component, In, Out

from .arithmetic import PLAIN
from .config import ArrayConfig
from .fabric import FABRICS, Fabric
from .pe import ProcessingElement, RowSum, accumulator, pe_signature
from .pipeline import delay, in_step
from .yowasp import yosys

WRONG = "wrong"  # the output of a miter that must stay 0


class SumMiter(Component):
    """A PE beside its plain specification: an accumulator of integers that is never too narrow.

    `wrong` is high in a cycle in which the sum so far has at most `depth` terms, and the PE's sum
    is not, as an integer, that of the specification, or is beyond `depth` times the largest term.
    A lane whose operands are both zero is no term. So the PE adds what it should, and its
    accumulator does not overflow. It is high, too, when the PE says of a half of its sum at a wrong
    time that it is a result's.
    """

    def __init__(self, config: ArrayConfig, pe: Component):
        self.config = config
        self._pe = pe
        super().__init__(_operand_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.pe = self._pe
        connect_inputs(m, self, self._pe)
        second = config.pipeline // 2  # the specification's registers behind and before the sum
        first = config.pipeline - second
        held = config.sum_loaded  # no reset, but `clear`
        a, w = (delay(m, x.as_value(), first, "operands_late") for x in (self.a, self.w))
        last = delay(m, self.last, first, "last_late", held)
        lanes = range(config.lanes)
        pairs = [tuple(x.word_select(lane, config.width) for x in (a, w)) for lane in lanes]
        total = Signal(signed(config.pe_acc_width + 2))
        ended = last | self.clear if held else last
        acc = accumulator(m, total, ended, reset_less=held)
        m.d.comb += total.eq(acc.as_signed() + sum(term(config.pe, a, w) for a, w in pairs))
        terms = Signal(range(config.depth + config.lanes + 2))
        m.d.comb += terms.eq(self._count(m, terms, ended, pairs))
        last, total, terms = (
            Cat(
                delay(m, self.last, cycles, f"last_{half}", held)
                for half, cycles in enumerate((config.low_latency, config.pipeline))
            ),
            delay(m, total, second, "total_high", held),
            delay(m, terms, second, "terms_high", held),
        )
        low, high = limits(config)
        given = in_step(m, self._pe.sum, config, "sum_low", held)
        given = given.as_signed() if config.pe == "mac" else given
        right = (given == total) & (low * terms <= total) & (total <= high * terms)
        out_of_step = self._pe.sum_last != last
        m.d.comb += self.wrong.eq((terms <= config.depth) & ~right | out_of_step)
        return m

    def _count(
        self, m: Module, terms: Value, ended: Value, pairs: list[tuple[Value, Value]]
    ) -> Value:
        """Terms of the sum so far, this cycle's included; no more than one beyond the depth."""
        most = self.config.depth + 1
        kept = Mux(terms >= most, most, terms)
        before = accumulator(m, kept, ended, reset_less=self.config.sum_loaded)
        return before + sum((Cat(a, w) != 0) for a, w in pairs)


class MinimumMiter(Component):
    """`min` beside `complement`: `wrong` is high when Σa + Σw − 2 · Σmin(a, w) is not the SAD."""

    def __init__(self, config: ArrayConfig, structure: str = PLAIN):
        self.config = config
        self._structure = structure
        super().__init__(_operand_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sads, minima = (
            ProcessingElement(self.config.twin(kind), self._structure)
            for kind in ("complement", "min")
        )
        activations, weights = (RowSum(self.config, self._structure) for _ in range(2))
        m.submodules += [sads, minima, activations, weights]
        for part in (sads, minima, activations):
            connect_inputs(m, self, part)
        connect_inputs(m, self, weights, a=self.w)
        x, f, least = (
            in_step(m, part.sum, self.config, f"low_{index}", self.config.sum_loaded)
            for index, part in enumerate((activations, weights, minima))
        )
        sad = (x + f - (least << 1))[: len(sads.sum)]
        m.d.comb += self.wrong.eq(
            sad != in_step(m, sads.sum, self.config, "sads", self.config.sum_loaded)
        )
        return m


def prove_sum(
    config: ArrayConfig,
    folder: Path,
    structure: str = PLAIN,
    pe: Callable[..., Component] = ProcessingElement,
) -> None:
    """Prove a PE of one structure right, as `SumMiter` says; ToolError when it is not."""
    prove(SumMiter(config, pe(config, structure)), folder)


def prove(miter: Component, folder: Path) -> None:
    """Prove that `miter.wrong` is never high; ToolError when it can be. Script, log and, in
    `trace.vcd`, the cycles that made it high stay in `folder`."""
    _solve(miter, folder, ["-tempinduct"])


def prove_bounded(miter: Component, folder: Path, cycles: int) -> None:
    """As `prove`, of that many cycles from the start without reset."""
    _solve(miter, folder, [f"-tempinduct-baseonly -maxsteps {cycles} -set rst 0"])


def prove_for_each(miter: Component, folder: Path, name: str, target: str = "generic") -> None:
    """As `prove`, of a miter without registers, apart for each value of its input `name`: products
    with constants are easily proven, others are not. target: the FPGA whose cells are in it."""
    values = range(2 ** len(getattr(miter, name)))
    _solve(miter, folder, [f"-set {name} {value}" for value in values], FABRICS.get(target))


def _solve(
    miter: Component, folder: Path, conditions: Iterable[str], fabric: Fabric | None = None
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = rtlil.convert(miter, name="miter", emit_src=False)
    (folder / "miter.il").write_text(text, encoding="utf-8")
    proofs = [
        f"sat -verify {condition} -prove {WRONG} 0 -dump_vcd trace.vcd miter"
        for condition in conditions
    ]
    models = f"read_verilog -defer -overwrite +/{fabric.models}/cells_sim.v" if fabric else ""
    steps = ["read_rtlil miter.il", models, "hierarchy -top miter", "proc", "flatten", "opt -full"]
    yosys("\n".join([*steps, *proofs, ""]), folder, "proof")


def _operand_ports(config: ArrayConfig) -> dict:
    inputs = pe_signature(config).members
    given = {name: port for name, port in inputs.items() if port.flow is In}
    return given | {WRONG: Out(1)}


def connect_inputs(m: Module, miter: Component, part: Component, **others: Value) -> None:
    """Give a part's inputs `others`, and else the miter's of the same names."""
    for name, member in part.signature.members.items():
        if member.flow is In:
            value = others[name] if name in others else getattr(miter, name)
            m.d.comb += getattr(part, name).eq(value)


def term(pe: str, a: Value, w: Value) -> Value:
    """What a PE kind adds, in Amaranth's operators."""
    if pe == "mac":
        return a * w.as_signed()
    if pe == "min":
        return Mux(a < w, a, w)
    return (a - w) * (a - w) if pe == "square" else abs(a - w)


def limits(config: ArrayConfig) -> tuple[int, int]:
    """The smallest and the largest term."""
    top, half = 2**config.width - 1, 2 ** (config.width - 1)
    if config.pe == "mac":
        return -top * half, top * (half - 1)
    return 0, top**2 if config.pe == "square" else top
