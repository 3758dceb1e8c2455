"""Where the maps of a network lie in the memory of activations, and its layers' descriptors."""

import math
from dataclasses import dataclass, replace

from golden.spec import IMAGE, LayerSpec, QuantizedModel

from .accelerator_config import AcceleratorConfig
from .bands import in_bands, least_words
from .config import ArrayConfig
from .descriptor import ALONE, LayerDescriptor, MapPlace, computed_size

READ_AHEAD = 512  # words of weights, as many as block RAMs are deep


@dataclass(frozen=True, kw_only=True)
class ImageColumns:
    """How an image is unfolded along its rows before it is stored: by a kernel with a stride and
    padding, so that words hold the pixels under a row of the kernel."""

    kernel: int = 1
    stride: int = 1
    padding: int = 0


def image_columns(model: QuantizedModel, config: AcceleratorConfig) -> ImageColumns | None:
    """The first kernel's columns, if a row of it fits fewer words than it has pixels and no other
    layer takes the image; but no code stands for padding beside signs."""
    first = model.layers[0].spec
    users = [name for layer in model.layers for name in (layer.spec.source, layer.spec.residual)]
    channels, reach = first.in_shape[0], first.kernel[1]
    unfolded = math.ceil(channels * reach / config.channels)
    if unfolded >= reach * math.ceil(channels / config.channels) or users.count(IMAGE) > 1:
        return None
    if first.kind == "xnor" and first.padding[1]:
        return None
    return ImageColumns(kernel=first.kernel[1], stride=first.stride[1], padding=first.padding[1])


def place_layers(model: QuantizedModel, config: AcceleratorConfig) -> tuple[LayerDescriptor, ...]:
    """A descriptor for each layer, whether or not the memories are as large as that. Maps in an
    external memory lie there one after the other, from the image on."""
    columns = image_columns(model, config)
    places = _place_maps(model, config, _image_shape(model, columns))
    descriptors, weight_base, constant_base = [], 0, 0
    for layer in model.layers:
        spec, source = layer.spec, places[layer.spec.source]
        descriptor = LayerDescriptor(
            config=config,
            name=spec.name,
            kind=spec.kind,
            source=source,
            target=places.get(spec.name),
            residual=places[spec.residual] if spec.residual else None,
            filters=spec.out_channels,
            size=computed_size(spec),
            pool=spec.pool or ALONE,
            in_zero=spec.in_zero_point,
            in_width=spec.in_width,
            drop=max(spec.drop),
            width=spec.width,
            out_zero=spec.out_zero_point,
            highest=2**spec.out_width - 1,
            weight_base=weight_base,
            constant_base=constant_base,
            **_kernel(spec, source, source.name == IMAGE and columns is not None),
        )
        weight_base += descriptor.weight_words
        constant_base += descriptor.tiles
        descriptors.append(descriptor)
    return tuple(descriptors)


def needed_words(layers: tuple[LayerDescriptor, ...]) -> dict[str, int]:
    """Of each memory of the accelerator, by the name of its size; of weights from an external
    memory those that are read in advance."""
    kinds = ("source", "residual", "target")
    places = [place for layer in layers for kind in kinds if (place := getattr(layer, kind))]
    weights = sum(layer.weight_words for layer in layers)
    external = layers[0].config.external != "none"
    return {
        "activation_words": max(place.base + place.words for place in places),
        "weight_words": min(weights, READ_AHEAD) if external else weights,
        "constant_words": max(layer.constant_base + layer.tiles for layer in layers),
    }


def fitted(model: QuantizedModel, array: ArrayConfig, **more: object) -> AcceleratorConfig:
    """The accelerator with that array as the model needs it: memories as large as it takes, its
    requantizer, and codes as wide as its maps'. more: other parameters of an accelerator."""
    stored = (layer.spec.out_width for layer in model.layers[:-1])
    width = max(array.width, model.input_width, *stored)
    config = AcceleratorConfig(array=array, map_width=width, requantize=model.requantize, **more)
    return sized(model, config)


def sized(model: QuantizedModel, config: AcceleratorConfig) -> AcceleratorConfig:
    """The configuration with memories that are as large as the model needs; with maps in an
    external memory, one of activations that is no larger than it is, if rows fit."""
    if config.external == "maps":
        layers = place_layers(model, config)
        words = max(config.activation_words, least_words(layers))
        layers = in_bands(place_layers(model, replace(config, activation_words=words)))
        return replace(config, **needed_words(layers))
    return replace(config, **needed_words(place_layers(model, config)))


def check_sizes(model: QuantizedModel, layers: tuple[LayerDescriptor, ...]) -> None:
    """ValueError when a memory is too small."""
    for name, needed in needed_words(layers).items():
        config = layers[0].config
        has = getattr(config, name)
        if needed > has and not (name == "weight_words" and config.external != "none"):
            raise ValueError(
                f"{model.name} needs {needed} {name}, but the accelerator has {has}; "
                f"set {name} to at least {needed}"
            )


def _place_maps(
    model: QuantizedModel, config: AcceleratorConfig, image: tuple[int, int, int]
) -> dict[str, MapPlace]:
    """The image's place, and that of each map but the last. A map takes the lowest words that are
    free from the layer that gives it to the last one that takes it. What the last layer adds keeps
    clear of the image: the next one comes while it is still read."""
    last_use = {
        name: index
        for index, layer in enumerate(model.layers)
        for name in (layer.spec.source, layer.spec.residual)
    }
    places = {IMAGE: _place(IMAGE, image, [], config)}
    for index, layer in enumerate(model.layers[:-1]):
        live = [place for name, place in places.items() if last_use.get(name, -1) >= index]
        if config.external == "maps":
            live = list(places.values())
        elif layer.spec.name == model.layers[-1].spec.residual:
            live = [*live, places[IMAGE]]
        places[layer.spec.name] = _place(layer.spec.name, layer.spec.out_shape, live, config)
    return places


def _image_shape(model: QuantizedModel, columns: ImageColumns | None) -> tuple[int, int, int]:
    """Of the image as it is stored; unfolded, it has a column for each column of outputs."""
    channels, rows, _ = model.in_shape
    if columns is None:
        return model.in_shape
    return channels * columns.kernel, rows, computed_size(model.layers[0].spec)[1]


def _kernel(spec: LayerSpec, source: MapPlace, unfolded: bool) -> dict[str, tuple[int, int]]:
    """kernel, stride and padding over the map as it is stored."""
    if unfolded:
        return {
            "kernel": (spec.kernel[0], 1),
            "stride": (spec.stride[0], 1),
            "padding": (spec.padding[0], 0),
        }
    kernel = spec.kernel if spec.in_shape == source.shape else source.shape[1:]
    return {"kernel": kernel, "stride": spec.stride, "padding": spec.padding}


def _place(
    name: str, shape: tuple[int, int, int], live: list[MapPlace], config: AcceleratorConfig
) -> MapPlace:
    """The lowest place that overlaps no live map."""
    groups = math.ceil(shape[0] / config.channels)
    words, base = math.prod(shape[1:]) * groups, 0
    for other in sorted(live, key=lambda place: place.base):
        if base + words > other.base:
            base = max(base, other.base + other.words)
    return MapPlace(name=name, shape=shape, base=base, groups=groups)
