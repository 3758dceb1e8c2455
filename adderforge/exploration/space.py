"""Which designs there are: choices for each parameter, less what constraints and rules refuse."""

import ast
import inspect
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import TypeAdapter, ValidationError

from hw.choices import MULTIPLIERS
from hw.config import ArrayConfig

from .around import Around
from .design import NAMES, Design

FIELDS = ArrayConfig.model_fields | Around.model_fields
CONFIG = "config"  # a constraint's parameter that takes the whole ArrayConfig
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.And: all,
    ast.Or: any,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
}


@dataclass(frozen=True)
class Constraint:
    """A rule with a name. holds: a function of parameters of designs, which it names as its own;
    `config` takes the whole ArrayConfig."""

    name: str
    holds: Callable[..., bool]
    needs: tuple[str, ...]

    def __call__(self, design: Design) -> bool:
        """ValueError where it has no value, as with a division by zero."""
        values = [design.array if n == CONFIG else design.value(n) for n in self.needs]
        try:
            return bool(self.holds(*values))
        except (ArithmeticError, TypeError) as error:
            raise ValueError(
                f"constraint {self.name!r} must hold or not for every design, but of "
                f"'{design.options or 'defaults'}' it gives: {error}; let another stand before it, "
                "with 'and'"
            ) from error


@dataclass(frozen=True, init=False)
class Space:
    """Designs, by the choices for each parameter.

    choices: for names of `ArrayConfig`, "multiplier", and those of `around.Around`, one value, or
    several in a list or a range; what is not named has its default. constraints: functions whose
    parameters have such names, or text such as "rows * cols <= 256"; a design must satisfy all of
    them, and has to hold or not for each. Combinations that ArrayConfig refuses are no designs.
    ValueError for unknown names, values of the wrong type or out of range, and names without
    values.
    """

    choices: dict[str, tuple]
    constraints: tuple[Constraint, ...] = field(default=())

    def __init__(
        self, /, constraints: Iterable[Callable[..., bool] | str] = (), **choices: object
    ) -> None:
        if isinstance(constraints, str) or not isinstance(constraints, Iterable):
            raise ValueError(f"constraints must be in a list, not {constraints!r}")
        if not choices:
            raise ValueError(f"a space must have at least one of {', '.join(NAMES)}, not none")
        checked = {name: _choices(name, value) for name, value in choices.items()}
        object.__setattr__(self, "choices", checked)
        object.__setattr__(self, "constraints", tuple(map(_constraint, constraints)))

    @property
    def size(self) -> int:
        """Combinations of choices, before constraints."""
        return math.prod(map(len, self.choices.values()))

    def pick(self, values: dict[str, object], **defaults: object) -> Design | None:
        """The design of one combination; None where it is none. defaults: of names that the space
        leaves open."""
        try:
            design = Design.of(defaults | values)
        except ValueError:
            return None
        return design if all(rule(design) for rule in self.constraints) else None

    def designs(self, **defaults: object) -> list[Design]:
        """All of them, each once, in the order of the choices. ValueError when there is none, with
        the constraint that leaves none."""
        found = dict.fromkeys(self._configurable(defaults))
        kept = [d for d in found if all(rule(d) for rule in self.constraints)]
        if not kept:
            raise ValueError(self._why_empty(list(found)))
        return kept

    def _configurable(self, defaults: dict[str, object]) -> Iterator[Design]:
        for values in itertools.product(*self.choices.values()):
            try:
                yield Design.of(defaults | dict(zip(self.choices, values, strict=True)))
            except ValueError:
                continue

    def _why_empty(self, found: list[Design]) -> str:
        if not found:
            first = {name: values[0] for name, values in self.choices.items()}
            try:
                Design.of(first)
            except ValueError as error:
                return f"none of {self.size} combinations is a configuration; of the first: {error}"
        left = {rule.name: sum(map(rule, found)) for rule in self.constraints}
        none = [name for name, count in left.items() if count == 0]
        if none:
            return f"constraint {none[0]!r} leaves none of {len(found)} designs; loosen it"
        counts = ", ".join(f"{name!r} leaves {count}" for name, count in left.items())
        return f"the constraints together leave none of {len(found)} designs ({counts}); loosen one"


def _choices(name: str, value: object) -> tuple:
    if name not in NAMES:
        raise ValueError(f"unknown parameter {name!r} of a space; there are {', '.join(NAMES)}")
    several = isinstance(value, Iterable) and not isinstance(value, str | dict)
    values = tuple(value) if several else (value,)
    if not values:
        raise ValueError(f"{name} must have at least one value, not none")
    for one in values:
        _check(name, one)
    return tuple(dict.fromkeys(values))


def _check(name: str, value: object) -> None:
    if name == "multiplier":
        if value is not None and value not in MULTIPLIERS:
            raise ValueError(f"multiplier must be one of {', '.join(MULTIPLIERS)}, not {value!r}")
        return
    rule = FIELDS[name]
    try:
        TypeAdapter(Annotated[rule.annotation, rule]).validate_python(value, strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Input ")
        raise ValueError(f"{name}: {reason}, not {value!r}") from None


def _constraint(rule: Callable[..., bool] | str) -> Constraint:
    if not isinstance(rule, str) and not callable(rule):
        raise ValueError(f"a constraint must be a text or a function, not {rule!r}")
    if isinstance(rule, str):
        tree = _parsed(rule)
        needs = tuple(dict.fromkeys(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)))
        name = rule

        def holds(*values: object) -> bool:
            return bool(_value(tree, dict(zip(needs, values, strict=True))))
    else:
        needs, name, holds = tuple(inspect.signature(rule).parameters), rule.__name__, rule
    for need in needs:
        if need not in (*NAMES, CONFIG):
            raise ValueError(
                f"constraint {name!r}: unknown parameter {need!r}; there are {', '.join(NAMES)}"
            )
    return Constraint(name, holds, needs)


def _parsed(text: str) -> ast.expr:
    """The tree of a text of parameters, numbers, words and operators, and of nothing else."""
    allowed = (*_OPERATORS, ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.Compare, ast.Name, ast.Load)
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        tree = None
    parts = list(ast.walk(tree)) if tree else [None]
    if not all(isinstance(part, (*allowed, ast.Constant)) for part in parts):
        raise ValueError(
            "a constraint must be made of parameters, numbers, + - * // %, comparisons, and, or, "
            f"not; it is {text!r}"
        )
    return tree


def _value(tree: ast.expr, values: dict[str, object]) -> object:
    def of(part: ast.expr) -> object:
        return _value(part, values)

    match tree:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=sign, operand=one):
            return _OPERATORS[type(sign)](of(one))
        case ast.BinOp(op=sign, left=left, right=right):
            return _OPERATORS[type(sign)](of(left), of(right))
        case ast.BoolOp(op=sign, values=parts):
            return _OPERATORS[type(sign)](map(of, parts))
        case ast.Compare(left=left, ops=signs, comparators=others):
            sides = [of(left), *map(of, others)]
            pairs = zip(signs, sides, sides[1:], strict=False)
            return all(_OPERATORS[type(sign)](a, b) for sign, a, b in pairs)
