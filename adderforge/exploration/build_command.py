"""The commands that make a design again, as text for a shell."""

import shlex
from dataclasses import replace
from pathlib import Path

from hw.allocation import fitted
from hw.choices import BUILT_IN_LIBRARY
from hw.verilog import config_hash

from .accelerators import SIZES, configure
from .design import Design, DesignPoint
from .effort import Effort
from .models import config_of, data_of
from .workloads import Workload

QUANTIZED = "quantized"  # folder of the network of a checkpoint


def config_file(design: Design) -> str:
    return f"designs/{config_hash(design.array)}.toml"


def build_command(point: DesignPoint, workload: Workload, effort: Effort) -> str | None:
    """To be run in the folder where `config_file` is. None where no command makes the design: an
    accelerator whose maps or requantizer are not as its network has them, or whose checkpoint was
    calibrated with images of another data set."""
    if workload.accelerator:
        return _accelerator_command(point.design, workload)
    words = ["synth", "--config", config_file(point.design), "--target", effort.target]
    multiplier = point.design.multiplier or point.figures.get("made_of")
    if multiplier not in (None, "none"):
        words += ["--multiplier", multiplier]
    if effort.liberty != BUILT_IN_LIBRARY:
        words += ["--liberty", effort.liberty.resolve()]
    return _command(words)


def _accelerator_command(design: Design, workload: Workload) -> str | None:
    model = workload.model(design)
    config = configure(model, design)
    bus = {} if config.external == "none" else {"external", "external_width"}
    options = {name: getattr(config, name) for name in (*sorted(bus), *SIZES)}
    made = fitted(model, config.array, **{name: options[name] for name in bus})
    if replace(made, **options) != config:
        return None
    path = workload.model_for(design.array).resolve()
    if path.suffix == ".npz":
        own = workload.data_dir if data_of(path) == workload.data_set else None
        return _ip(path, design, options, own)
    first = _quantize(path, design, workload)
    return first and f"{first[0]} && {_ip(first[1], design, options, workload.data_dir)}"


def _ip(model: Path, design: Design, options: dict[str, object], data_dir: str | None) -> str:
    """data_dir: of the network's own data set, of which the self-test's images are."""
    words = ["ip", "--model", model, "--config", config_file(design)]
    return _command([*words, *_options(options | _folder(data_dir))])


def _folder(data_dir: str | None) -> dict[str, Path]:
    return {"data_dir": Path(data_dir).resolve()} if data_dir else {}


def _quantize(path: Path, design: Design, workload: Workload) -> tuple[str, Path] | None:
    """The command that quantizes a checkpoint as `models.model_of` does, and the file it makes."""
    config = config_of(path)
    if workload.data_set != config.data:
        return None
    options = {"width": design.array.width} | design.around.recipe | _folder(workload.data_dir)
    words = ["quantize", path, *_options(options), "--out", QUANTIZED]
    return _command(words), Path(QUANTIZED, f"{config.model}-{config.data}-{config.kind}.npz")


def _options(values: dict[str, object]) -> list[object]:
    pairs = ((f"--{name.replace('_', '-')}", value) for name, value in values.items())
    return [word for pair in pairs for word in pair]


def _command(words: list[object]) -> str:
    return shlex.join(["adderforge", *map(str, words)])
