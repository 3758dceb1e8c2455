"""Which hardware does what is wished: the best few, what binds them, what a step more of each
parameter would buy, and, once built, whether the promise holds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from .design import Design
from .objectives import number
from .on_board import LANES, SIDES
from .promise import Option, Step, Wish, fits, shares
from .store import Measurement
from .task import Task

STEPS = {"rows": SIDES, "cols": SIDES, "lanes": LANES}
Progress = Callable[[Task, Measurement], None]
WORDS = {
    "luts": "LUTs",
    "flip_flops": "flip-flops",
    "dsps": "DSPs",
    "block_rams": "block RAMs",
    "microjoules": "µJ an image",
    "area_um2": "µm²",
    "images_per_second": "images a second",
}


class Ground(Protocol):
    """What hardware is made of: `on_board.OnBoard`, `on_cells.OnCells`.

    best: of `Option.used`, what is to be least. limits: of it, what may be promised; built_limits:
    used by what was built; place: whose they are. scope: what the figures are of. designs: that
    there are; guesses: promises that may lack what takes long to count, which `complete` adds, None
    where a design cannot run the network. build: with measurements."""

    best: str
    wish: Wish

    @property
    def limits(self) -> dict[str, float]: ...
    @property
    def built_limits(self) -> dict[str, float]: ...
    @property
    def place(self) -> str: ...
    @property
    def scope(self) -> str: ...
    def designs(self) -> list[Design]: ...
    def guesses(self, designs: Iterable[Design]) -> list[Option]: ...
    def complete(self, option: Option) -> Option | None: ...
    def build(self, option: Option, progress: Progress) -> Option: ...


class Adviser:
    def __init__(self, ground: Ground) -> None:
        self.ground, self.wish = ground, ground.wish
        self._whole: list[Option] = []  # completed on the way to those that fit

    def options(self, count: int = 3) -> list[Option]:
        """The `count` best designs that fit and do what is wished, by guesses; where no rate and no
        energy is wished, the fastest that fit. ValueError when none does, with what binds."""
        fitting: list[Option] = []
        if self.wish.images_per_second is None and self.wish.microjoules is None:
            fitting += self._fitting()
            found = sorted(fitting, key=lambda option: -option.images_per_second)[:count]
        else:
            found = self._first(count, fitting)
        if not found:
            raise ValueError(self._why_none(fitting))
        return [replace(option, steps=tuple(self._steps(option))) for option in found]

    def build(
        self, options: list[Option], progress: Progress = lambda task, measurement: None
    ) -> list[Option]:
        """One after the other is built until one holds what is wished; it comes first, those after
        it as they were, and those that did not hold last."""
        missed: list[Option] = []
        for index, option in enumerate(options):
            built = self.ground.build(option, progress)
            if self.holds(built):
                return [built, *options[index + 1 :], *missed]
            missed.append(built)
        return missed

    def holds(self, option: Option) -> bool:
        """Whether an option that was built does what is wished."""
        built = option.built
        if built is None:
            return False
        least = self.wish.images_per_second or 0
        return fits(built, self.ground.built_limits) and built["images_per_second"] >= least

    def binding(self, option: Option) -> str:
        """What the largest share is used of: a resource, or where they are no limits a wish."""
        used = option.built or option.used
        limits = self.ground.built_limits if option.built else self.ground.limits
        found = shares(used, limits)
        if self.wish.images_per_second and self.ground.best not in self.ground.limits:
            rate = used.get("images_per_second", option.images_per_second)
            found["images_per_second"] = self.wish.images_per_second / rate
        return max(found, key=found.__getitem__) if found else self.ground.best

    def _first(self, count: int, seen: list[Option]) -> list[Option]:
        """The first so many that do what is wished; adds those that were looked at to `seen`."""
        found: list[Option] = []
        for option in self._fitting():
            seen.append(option)
            if self._holds(option):
                found.append(option)
            if len(found) == count:
                break
        return found

    def _fitting(self) -> Iterator[Option]:
        """Options that fit, the best first."""
        ground = self.ground
        guesses = (o for o in ground.guesses(ground.designs()) if fits(o.used, ground.limits))
        for option in sorted(guesses, key=lambda option: option.used[ground.best]):
            if whole := ground.complete(option):
                self._whole.append(whole)
                if fits(whole.used, ground.limits):
                    yield whole

    def _holds(self, option: Option) -> bool:
        return option.images_per_second >= (self.wish.images_per_second or 0)

    def _steps(self, option: Option) -> Iterator[Step]:
        """None where there is no such design."""
        ground = self.ground
        for name, sizes in STEPS.items():
            for size in sizes:
                if size <= option.design.array.model_dump()[name]:
                    continue
                design = Design.of(option.design.values | {name: size})
                (guess,) = ground.guesses([design]) or (None,)
                if guess and (more := ground.complete(guess)):
                    yield Step(
                        parameter=name,
                        value=size,
                        images_per_second=more.images_per_second,
                        used=more.used,
                        holds=fits(more.used, ground.limits) and self._holds(more),
                    )
                    break

    def _why_none(self, fitting: list[Option]) -> str:
        ground, wish = self.ground, self.wish
        if not fitting:
            return self._why_none_fits()
        fastest = max(fitting, key=lambda option: option.images_per_second)
        return (
            f"no array that fits {ground.place} gives {wish.images_per_second:,.0f} images a "
            f"second: the fastest ({fastest.design.options}) gives "
            f"{fastest.images_per_second:,.0f}{self._bound(fastest)}; ask for less, raise "
            "--clock-mhz or take a larger board"
        )

    def _bound(self, option: Option) -> str:
        """What hinders a faster one; nothing where nothing is limited."""
        found = shares(option.used, self.ground.limits)
        name = max(found, key=found.__getitem__, default="")
        return f", and {WORDS[name]} bind it" if name else ""

    def _why_none_fits(self) -> str:
        ground = self.ground
        guesses = sorted(ground.guesses(ground.designs()), key=lambda o: o.used[ground.best])
        smallest = (found for one in guesses if (found := ground.complete(one)))
        whole = self._whole or [found for found in [next(smallest, None)] if found]
        if not whole:
            return f"no array of {len(guesses)} that were tried runs {self.wish.model.name}"

        def most(option: Option) -> tuple[float, str]:
            return max((used, name) for name, used in shares(option.used, ground.limits).items())

        nearest = min(whole, key=most)
        _, name = most(nearest)
        return (
            f"no array fits {ground.place}: the one that comes nearest ({nearest.design.options}) "
            f"takes {number(nearest.used[name])} {WORDS[name]} of {number(ground.limits[name])}; "
            "take a larger board or fewer bits, or loosen the wish"
        )
