"""A sweep: how many cycles, and how much area, arrays of several sizes take for ResNet-20.

python examples/sweep.py    areas are guessed from measurements that come with AdderForge
"""

import adderforge


def main() -> None:
    space = adderforge.Space(
        pe=["complement", "mac"],
        rows=[4, 8, 16, 32],
        cols=[4, 8, 16, 32],
        lanes=[1, 2, 4],
        constraints=["rows * cols * lanes <= 1024"],
    )
    workload = adderforge.network_workload("resnet20")
    found = adderforge.explore(space, workload, ["area_um2", "cycles"])
    for point in found.front:
        area, error = point.figures["area_um2"], point.errors["area_um2"]
        print(f"{point.design.options:40} {area:12,.0f} µm² ± {error:.0%}", end="")
        print(f" {point.figures['cycles']:10,} cycles, {point.figures['utilization']:.0%} used")


if __name__ == "__main__":
    main()
