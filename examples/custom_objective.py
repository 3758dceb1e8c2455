"""An objective and a constraint of one's own: the least area × time, in arrays that are not long.

python examples/custom_objective.py [STORE]    guesses first, then synthesizes what may win
"""

import sys

import adderforge


def area_time(area_um2: float, cycles: int) -> float:
    """A name of a figure as a parameter asks for that figure."""
    return area_um2 * 1e-6 * cycles


def nearly_square(rows: int, cols: int) -> bool:
    return max(rows, cols) <= 2 * min(rows, cols)


def main(store: str) -> None:
    space = adderforge.Space([nearly_square], rows=[1, 2, 4], cols=[1, 2, 4], lanes=[1, 2])
    workload = adderforge.network_workload("lenet5-bn")
    found = adderforge.explore(
        space, workload, [area_time], fidelity=1, store=adderforge.Store(store), most=6
    )
    (best, *_) = found.front
    print(
        f"{best.design.options}: {area_time(best.figures['area_um2'], best.figures['cycles']):,.1f}"
    )
    print(f"{sum(point.level == 1 for point in found.points)} of {len(found.points)} synthesized")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "store")
