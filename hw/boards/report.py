"""What came of a board."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class BoardReport:
    """fmax_mhz: routed clock rates, one for each seed; None where no tool gave one that counts all
    delays. resources: used and available; `estimated` if they are from synthesis alone.
    clock_mhz: that the accelerator runs on. images_per_second: its, at this clock and for images
    that are there, by counted cycles; at_fmax: the same at the highest of fmax_mhz.
    line_images_per_second: what the serial line can bring. bitstream, script: the file that was
    made, and the one that a vendor's tool makes a bitstream by."""

    board: str
    clock_mhz: float
    seeds: tuple[int, ...]
    fmax_mhz: tuple[float, ...] | None
    resources: dict[str, tuple[int, int]]
    estimated: bool = False
    cycles: int
    line_images_per_second: float
    bitstream: str | None = None
    script: str | None = None

    @property
    def images_per_second(self) -> float:
        return round(self.clock_mhz * 1e6 / self.cycles, 1)

    @property
    def at_fmax(self) -> float | None:
        return round(max(self.fmax_mhz) * 1e6 / self.cycles, 1) if self.fmax_mhz else None

    @property
    def best_seed(self) -> int | None:
        """That of the bitstream, where clock rates are known."""
        return self.seeds[self.fmax_mhz.index(max(self.fmax_mhz))] if self.fmax_mhz else None

    @property
    def binding(self) -> str:
        """The resource of which the largest share is used."""
        shares = {name: used / most for name, (used, most) in self.resources.items()}
        return max(shares, key=shares.__getitem__)

    def to_json(self) -> dict:
        derived = ("images_per_second", "at_fmax", "binding")
        return asdict(self) | {name: getattr(self, name) for name in derived}
