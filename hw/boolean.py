"""Liberty's Boolean expressions, evaluated on words of bits: 64 independent values a word.

Operators, binding tightest first: `!A` and `A'`, `^`, `&` `*` or nothing between two terms, `|`
`+`; parentheses; constants 0 and 1. Source: Liberty User Guide, volume 1, "function attribute".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_TOKEN = re.compile(r"\s*(?:([A-Za-z_][\w.]*(?:\[\d+\])?)|([01])|([!'&*|+^()]))")
_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_OPERATORS = {"^": np.bitwise_xor, "&": np.bitwise_and, "|": np.bitwise_or}
_LEVELS = (("|", "|+"), ("&", "&*"), ("^", "^"))


@dataclass(frozen=True)
class Expression:
    """A Boolean function of named inputs. Raises ValueError where text is none.

    text: in Liberty's notation; two expressions are equal when their texts are.
    """

    text: str

    def __post_init__(self) -> None:
        _ = self.tree

    @cached_property
    def tree(self) -> tuple:
        """Nested tuples: (name,), ("0",), ("1",), ("!", term) or (operator, left, right)."""
        return _Parser(self.text).parse()

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names it reads, each once, in order of appearance."""
        return tuple(dict.fromkeys(_names(self.tree)))

    def evaluate(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the function of every bit. values: name -> uint64 words, of shapes that
        broadcast; the result has their shape, and that of one word if there are no inputs."""
        return _evaluate(self.tree, values)


def _evaluate(tree: tuple, values: Mapping[str, np.ndarray]) -> np.ndarray:
    if len(tree) == 3:
        return _OPERATORS[tree[0]](_evaluate(tree[1], values), _evaluate(tree[2], values))
    if len(tree) == 2:
        return np.bitwise_not(_evaluate(tree[1], values))
    if tree[0] in "01":
        return _ONES * np.uint64(tree[0])
    return values[tree[0]]


def _names(tree: tuple) -> list[str]:
    if len(tree) == 1:
        return [] if tree[0] in "01" else [tree[0]]
    return [name for term in tree[1:] for name in _names(term)]


class _Parser:
    """Recursive descent, one method call per binding level."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenize(text)

    def _tokenize(self, text: str) -> list[str]:
        tokens, position = [], 0
        text = text.rstrip()
        while position < len(text):
            if not (match := _TOKEN.match(text, position)):
                raise self._error(f"{text[position:].strip()[:1]!r} is no part of one")
            tokens.append(match[0].strip())
            position = match.end()
        return tokens[::-1]

    def _error(self, problem: str) -> ValueError:
        return ValueError(
            f"function {self._text!r} must be a Boolean expression of pin names with "
            f"! ' ^ & * | + ( ) 0 1, but {problem}; correct the Liberty file"
        )

    def _next(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def parse(self) -> tuple:
        tree = self._level(0)
        if self._tokens:
            raise self._error(f"{self._next()!r} follows its end")
        return tree

    def _level(self, level: int) -> tuple:
        if level == len(_LEVELS):
            return self._term()
        operator, spellings = _LEVELS[level]
        tree = self._level(level + 1)
        while (token := self._next()) and (
            token in spellings or (operator == "&" and token not in ")|+^&*'")
        ):
            if token in spellings:
                self._tokens.pop()
            tree = (operator, tree, self._level(level + 1))
        return tree

    def _term(self) -> tuple:
        token = self._tokens.pop() if self._tokens else "its end"
        if token == "!":
            return ("!", self._term())
        if token == "(":
            tree = self._level(0)
            if not self._tokens or self._tokens.pop() != ")":
                raise self._error("a parenthesis is not closed")
        elif token in ("its end", *"&*|+^)'"):
            raise self._error(f"a term is missing before {token}")
        else:
            tree = (token,)
        while self._next() == "'":
            self._tokens.pop()
            tree = ("!", tree)
        return tree
