"""A space, a workload and what is wanted, in one TOML file."""

import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from .effort import Effort
from .search import check_counts
from .space import Space
from .workloads import Workload, network, of_model


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Workload(_Strict):
    network: str | None = None
    model: str | None = None
    models: dict[str, str] = {}
    accelerator: bool = False
    data: str | None = None
    data_dir: str | None = None


class _Effort(_Strict):
    target: str = "asic"
    liberty: str | None = None
    ultraplus: bool = False
    seeds: int = 1
    images: int = 2
    batches: int = 1
    cycles: int = 2000
    test_images: int | None = None


class _Search(_Strict):
    trials: int = 1000
    seed: int = 0
    most: int = 200
    sweep: bool = False


class _File(_Strict):
    space: dict
    workload: _Workload
    objectives: list[str] = ["area_um2", "cycles"]
    fidelity: int = 0
    effort: _Effort = _Effort()
    search: _Search = _Search()


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a file asks for: arguments of `explore.explore`."""

    space: Space
    workload: Workload
    objectives: tuple[str, ...]
    fidelity: int
    effort: Effort
    trials: int
    seed: int
    most: int
    sweep: bool

    def __post_init__(self) -> None:
        check_counts(self.trials, self.most, self.seed)


def read_request(path: Path, **given: object) -> Request:
    """Read a file; paths in it are relative to its folder. given: fidelity, objectives, seed,
    trials and target that win over the file's. ValueError with one line that names the file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a TOML file ({error})") from None
    try:
        return _request(_File(**content), path.parent, given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: {name}: {first['msg']}, not {first['input']!r}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _request(file: _File, folder: Path, given: dict[str, object]) -> Request:
    choices = {name: _values(name, value) for name, value in file.space.items()}
    effort = file.effort.model_dump()
    if "target" in given:
        effort["target"] = given.pop("target")
    liberty = effort.pop("liberty")
    if liberty:
        effort["liberty"] = folder / liberty
    values = {
        "objectives": tuple(file.objectives),
        "fidelity": file.fidelity,
        **file.search.model_dump(),
    }
    return Request(
        space=Space(**choices),
        workload=_workload(file.workload, folder),
        effort=Effort(**effort),
        **values | given,
    )


def _workload(asked: _Workload, folder: Path) -> Workload:
    if (asked.network is None) == (asked.model is None):
        raise ValueError("workload must have either network or model")
    models = {kind: folder / path for kind, path in asked.models.items()}
    for kind in models:
        if kind not in ("adder", "cnn", "bnn"):
            raise ValueError(f"workload.models must be for adder, cnn or bnn, not {kind!r}")
    others = {
        "models": models,
        "data": asked.data,
        "data_dir": str(folder / Path(asked.data_dir).expanduser()) if asked.data_dir else None,
        "accelerator": asked.accelerator,
    }
    if asked.network:
        workload = network(asked.network, **others)
    else:
        workload = of_model(folder / asked.model, **others)
    if workload.models:
        _ = workload.data_set  # models of several are refused at once
    return workload


def _values(name: str, value: object) -> object:
    """A table {from, to} with a step, or with times for powers, is a range, both ends included."""
    if not isinstance(value, dict):
        return value
    keys = set(value)
    if keys not in ({"from", "to"}, {"from", "to", "step"}, {"from", "to", "times"}) or not all(
        isinstance(number, int) and number > 0 for number in value.values()
    ):
        raise ValueError(
            f"{name}: a range must have positive integers from, to, and step or times, not {value}"
        )
    if value.get("times", 2) < 2:
        raise ValueError(f"{name}: times must be at least 2, not {value['times']}")
    return list(_range(**{"start" if key == "from" else key: n for key, n in value.items()}))


def _range(start: int, to: int, step: int = 1, times: int = 1) -> Iterator[int]:
    value = start
    while value <= to:
        yield value
        value = value * times if times > 1 else value + step


def arguments(request: Request) -> dict[str, object]:
    """Of `explore.explore`, but for where it is measured and kept."""
    names = ("space", "workload", "fidelity", "effort", "trials", "seed", "most", "sweep")
    return {name: getattr(request, name) for name in names} | {"objectives": request.objectives}


def plain(effort: Effort) -> dict[str, object]:
    """For JSON."""
    return asdict(effort) | {"liberty": effort.liberty.name}
