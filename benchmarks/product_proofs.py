"""Prove the products of MACs for every pair of operands, weight by weight, with Yosys' SAT solver.

python benchmarks/product_proofs.py --width 8

A product of two unknowns is beyond a SAT solver from about 6 bits on, one with a constant is not.
So each multiplier is proven, by way of its accumulator's adder, for each of the 2**width weights.
The tests do so at 6 bits; 8 take minutes.
"""

import argparse
import tempfile
import time
from pathlib import Path

from hw.arithmetic import ARRAY_TREE, BOOTH_TREE, HALVES, PLAIN
from hw.config import ArrayConfig
from hw.formal import prove_for_each
from hw.formal_array import StepMiter

PRODUCTS = (
    ("generic", BOOTH_TREE),
    ("generic", ARRAY_TREE),
    ("ice40", PLAIN),
    ("ecp5", PLAIN),
    ("xilinx7", PLAIN),
    ("ice40", HALVES),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=8, help="bits of an operand (default 8)")
    width = parser.parse_args().width
    for target, structure in PRODUCTS:
        made_for = "generic" if structure == HALVES else target
        config = ArrayConfig(pe="mac", width=width, depth=1, target=made_for)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            prove_for_each(StepMiter(config, structure), Path(folder), "w", target)
        seconds = time.perf_counter() - started
        print(f"{target} {structure}, {width} bits: {2**width} proofs, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
