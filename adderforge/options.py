"""Options and output that several commands share."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from golden.spec import QuantizedModel
    from hw.accelerator_config import AcceleratorConfig
    from hw.config import ArrayConfig

FILE = click.Path(path_type=Path)
ARRAY_OPTIONS = {
    "pe": "kind of PE: complement, min, two_adder, compare_swap, mac, xnor or square",
    "width": "bits of an activation and of a weight, 2 to 16",
    "rows": "PEs down",
    "cols": "PEs across",
    "lanes": "products per PE and cycle",
    "depth": "terms of the longest reduction; sizes the accumulator",
    "dataflow": "output-stationary or weight-stationary",
    "pipeline": "registers between a PE's operands and its sum: 0 to 4",
    "positions": "outputs per block of a weight-stationary array; sizes its memory",
}

as_json = click.option("--json", "as_json", is_flag=True, help="print the result as JSON")


def array_options(command: Callable, **texts: str) -> Callable:
    """--config and an option for each array parameter, which wins over the file. texts: help that
    is another than usual."""
    for name, text in reversed((ARRAY_OPTIONS | texts).items()):
        kind = str if name in ("pe", "dataflow") else int
        command = click.option(f"--{name}", type=kind, help=text)(command)
    return click.option("--config", type=FILE, help="TOML file with an array's parameters")(command)


def array_config(config: Path | None, **options: object) -> "ArrayConfig":
    """The array that `array_options` describe."""
    from hw.config import ArrayConfig, load_config

    values = load_config(config).model_dump(exclude_unset=True) if config else {}
    values |= given(options)
    if values.get("pe") == "xnor":
        values.setdefault("width", 1)  # the only one it has
    return ArrayConfig(**values)


def array_for(network: "QuantizedModel", **options: object) -> "ArrayConfig":
    """As `array_config`; as wide as the network's widest layer where nothing else is said."""
    array = array_config(**options)
    if "width" in array.model_fields_set:
        return array
    widest = max(layer.spec.width for layer in network.layers)
    return array_config(**options | {"width": max(2, widest)})


MEMORY_OPTIONS = {
    "activation_words": "words of the activation memory",
    "weight_words": "words of the weight memory",
    "constant_words": "words of the requantizer's memory",
}


def accelerator_options(command: Callable) -> Callable:
    """Those of an array, --model, and the sizes of the memories."""
    for name, text in reversed(MEMORY_OPTIONS.items()):
        command = click.option(f"--{name.replace('_', '-')}", type=int, help=text)(command)
    model = click.option("--model", type=FILE, required=True, help="quantized network (.npz)")
    return array_options(model(command), width=f"{ARRAY_OPTIONS['width']}; default: the network's")


def accelerator_config(
    options: dict[str, object], network: "QuantizedModel", **more: object
) -> "AcceleratorConfig":
    """The accelerator that `accelerator_options` describe, `fitted` to the network where they do
    not; the array is weight-stationary, and as wide as the network's widest layer, unless they
    say otherwise. more: parameters that are no options of all commands."""
    from hw.allocation import fitted

    sizes = given({name: options[name] for name in MEMORY_OPTIONS})
    of_array = {name: value for name, value in options.items() if name not in MEMORY_OPTIONS}
    array = array_for(network, **of_array)
    if "dataflow" not in array.model_fields_set:
        array = array_for(network, **of_array | {"dataflow": "weight-stationary"})
    return replace(fitted(network, array, **more), **sizes)


def made_for(target: str, config: "AcceleratorConfig") -> "AcceleratorConfig":
    """With PEs of the fabric's cells, unless the configuration names a fabric."""
    if config.array.target != "generic":
        return config
    return replace(config, array=config.array.model_copy(update={"target": target}))


def library_options(command: Callable) -> Callable:
    """--liberty, which may be given several times, and --pdk."""
    text = "PDK under $PDK_ROOT whose cell library is taken, such as sky130A"
    command = click.option("--pdk", help=text)(command)
    text = "cell library for asic (.lib or .lib.gz); several make one, such as cells and SRAM"
    return click.option("--liberty", type=FILE, multiple=True, help=text)(command)


def cell_library(liberty: tuple[Path, ...], pdk: str | None) -> tuple[Path, ...]:
    """The files that `library_options` name; the built-in library where they name none. Those given
    beside a PDK come on top of its cells."""
    from hw.choices import BUILT_IN_LIBRARY
    from hw.liberty import read_library
    from hw.pdk import find_library

    files = (*((find_library(pdk),) if pdk else ()), *liberty) or (BUILT_IN_LIBRARY,)
    read_library(files)
    return files


DATA = "digits, mnist, cifar10, cifar100 or imagenet"


def with_data(command: Callable, default: str | None = None, names: str = DATA) -> Callable:
    """--data and --data-dir; without a default, what the command's network was trained on."""
    text = "folder of the data set; default $ADDERFORGE_DATA"
    command = click.option("--data-dir", help=text)(command)
    text = names if default else f"{names}; default: what the network was trained on"
    return click.option("--data", default=default, show_default=bool(default), help=text)(command)


with_digits = partial(with_data, default="digits")


def given(options: dict[str, object]) -> dict[str, object]:
    """The options that the user gave: those left out are None."""
    return {name: value for name, value in options.items() if value is not None}


def left_out(why: str, **options: object) -> None:
    """ValueError for an option that was given although it would change nothing; why: there."""
    for name, value in options.items():
        if value is not None and value is not False and value != ():
            raise ValueError(f"{name} must be left out {why}")


def show(figures: object, as_json: bool, text: str) -> None:
    click.echo(json.dumps(figures, indent=1) if as_json else text)
