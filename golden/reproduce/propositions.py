"""Appendix A as a numerical experiment: min over f of |x − f|₁ at a fixed learning rate α.

Proposition 1: with the sign gradient (Eq. 15) an element of f reaches x only if (x − f⁰) / α is a
whole number, and otherwise ends in a cycle of two values around it. Proposition 2: with the
full-precision gradient (Eq. 16) and α < 1, f converges to x.
"""

import numpy as np

from . import figures, paper
from .results import Options, Result, Row
from .runs import Progress

ALPHA = 0.1


def appendix_a(options: Options, progress: Progress) -> Result:
    """Both propositions, shown on random vectors."""
    numbers = run()
    picture = figures.descent(numbers["curves"], options.folder / "propositions.png")
    last = {name: f"{value:.2g}" for name, value in numbers["last"].items()}
    rows = [
        Row(label="sign gradient, mean |x − f| at the end", ours=last["sign"], paper="> 0"),
        Row(label="full-precision gradient", ours=last["full"], paper="0"),
        Row(label="elements that cycle, sign gradient", ours=f"{numbers['cycling']:.1%}"),
    ]
    return Result(
        title=paper.TITLES["propositions"], rows=rows, numbers=numbers, pictures=[picture]
    )


def descend(x: np.ndarray, f: np.ndarray, alpha: float, steps: int, gradient: str) -> np.ndarray:
    """Every f, (steps + 1, n), of gradient descent from `f` to `x` (Eq. 19, or Eq. 24)."""
    direction = {"sign": np.sign, "full": lambda difference: difference}[gradient]
    path = [f]
    for _ in range(steps):
        path.append(path[-1] - alpha * direction(path[-1] - x))
    return np.array(path)


def run(elements: int = 1000, steps: int = 300, seed: int = 0) -> dict:
    """Mean |x − f| at each step for both gradients, from Gaussian x and f⁰, n = `elements`.

    cycling: share of elements that, with the sign gradient, repeat with period 2 and stay off x.
    """
    rng = np.random.default_rng(seed)
    x, start = rng.standard_normal((2, elements))
    paths = {name: descend(x, start, ALPHA, steps, name) for name in ("sign", "full")}
    curves = {name: np.abs(path - x).mean(axis=1) for name, path in paths.items()}
    sign = paths["sign"]
    cycling = np.isclose(sign[-1], sign[-3]) & ~np.isclose(sign[-1], x)
    return {
        "alpha": ALPHA,
        "elements": elements,
        "seed": seed,
        "curves": {name: curve.tolist() for name, curve in curves.items()},
        "last": {name: float(curve[-1]) for name, curve in curves.items()},
        "cycling": float(cycling.mean()),
    }
