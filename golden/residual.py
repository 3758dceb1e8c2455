"""Residual networks of the paper (sections 4.2, 4.3), each in four kinds.

The first and the last layer are ordinary in every kind; shortcuts that change the shape are 1 × 1
layers of the kind; a batch norm follows the logits, as in the authors' public code, whose names
of modules these are.
"""

from torch import Tensor, nn

from .kinds import Layers, layers_of

Step = tuple[int, int, int]  # channels, kernel, stride


class Residual(nn.Module):
    """activation(bnK(convK(… activation(bn1(conv1(x))))) + shortcut(x)), one layer for each step.

    The shortcut is x itself, or a 1 × 1 layer with the steps' stride and a batch norm where the
    shape changes.
    """

    def __init__(self, layers: Layers, in_channels: int, steps: list[Step]) -> None:
        super().__init__()
        self.steps, channels, shrink = len(steps), in_channels, 1
        for index, (width, kernel, stride) in enumerate(steps, 1):
            conv = layers.conv2d(channels, width, kernel, stride=stride, padding=kernel // 2)
            self.add_module(f"conv{index}", conv)
            self.add_module(f"bn{index}", nn.BatchNorm2d(width))
            channels, shrink = width, shrink * stride
        self.activation = layers.activation()
        self.downsample = None
        if (channels, shrink) != (in_channels, 1):
            conv = layers.conv2d(in_channels, channels, 1, stride=shrink)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(channels))

    def forward(self, input: Tensor) -> Tensor:
        output = input
        for index in range(1, self.steps + 1):
            output = self.get_submodule(f"conv{index}")(output)
            output = self.get_submodule(f"bn{index}")(output)
            if index < self.steps:
                output = self.activation(output)
        shortcut = input if self.downsample is None else self.downsample(input)
        return self.activation(output + shortcut)


class ResNet(nn.Module):
    """stem, stages of residual blocks (layer1 …), mean over the image, linear layer, batch norm.

    in_shape: (channels, height, width) of an image. stem: conv1, ordinary. stages: for each, the
    steps of its blocks. pool: a max pooling of 3 × 3 with stride 2 after the stem.
    """

    def __init__(
        self,
        layers: Layers,
        in_shape: tuple[int, int, int],
        stem: nn.Conv2d,
        stages: list[list[list[Step]]],
        fc: nn.Linear,
        pool: bool,
    ) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.conv1, self.bn1 = stem, nn.BatchNorm2d(stem.out_channels)
        self.activation = layers.activation()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if pool else nn.Identity()
        channels, self.stages = stem.out_channels, len(stages)
        for index, blocks in enumerate(stages, 1):
            stage = nn.Sequential()
            for steps in blocks:
                stage.append(Residual(layers, channels, steps))
                channels = steps[-1][0]
            self.add_module(f"layer{index}", stage)
        self.fc, self.bn2 = fc, nn.BatchNorm1d(fc.out_features)

    def forward(self, input: Tensor) -> Tensor:
        output = self.pool(self.activation(self.bn1(self.conv1(input))))
        for index in range(1, self.stages + 1):
            output = self.get_submodule(f"layer{index}")(output)
        return self.bn2(self.fc(output.mean((2, 3))))


def resnet20(kind: str = "adder", gradient: str = "full", classes: int = 10) -> ResNet:
    """ResNet-20 of He et al. 2016 for (3, 32, 32) images (Table 2)."""
    return _on_cifar(3, layers_of(kind, gradient), classes)


def resnet32(kind: str = "adder", gradient: str = "full", classes: int = 10) -> ResNet:
    """ResNet-32 of He et al. 2016 for (3, 32, 32) images (Table 2)."""
    return _on_cifar(5, layers_of(kind, gradient), classes)


def resnet18(
    kind: str = "adder",
    gradient: str = "full",
    classes: int = 1000,
    width: int = 64,
    side: int = 224,
) -> ResNet:
    """ResNet-18 of He et al. 2016 for (3, 224, 224) images (Table 3). width: channels of the first
    stage; side: of an image."""
    stages = [
        [_basic(width * 2**stage, _stride(stage, index)) for index in range(2)]
        for stage in range(4)
    ]
    return _on_imagenet(stages, layers_of(kind, gradient), classes, width, side)


def resnet50(
    kind: str = "adder",
    gradient: str = "full",
    classes: int = 1000,
    stride_in: int = 1,
    width: int = 64,
    side: int = 224,
) -> ResNet:
    """ResNet-50 of He et al. 2016 for (3, 224, 224) images (Table 3). width, side: as of
    `resnet18`.

    stride_in: the kernel of the layer that strides in a stage's first block: 1, as in He et al.,
    which gives Table 3's 3.9 G; or 3, as in the authors' public code, which gives 4.1 G.
    """
    if stride_in not in (1, 3):
        raise ValueError(f"stride_in must be 1 or 3, not {stride_in!r}")
    stages = []
    for stage, blocks in enumerate((3, 4, 6, 3)):
        strides = [_stride(stage, index) for index in range(blocks)]
        stages.append([_bottleneck(width * 2**stage, stride, stride_in) for stride in strides])
    return _on_imagenet(stages, layers_of(kind, gradient), classes, width, side)


def _on_cifar(blocks: int, layers: Layers, classes: int) -> ResNet:
    stages = [
        [_basic(16 * 2**stage, _stride(stage, index)) for index in range(blocks)]
        for stage in range(3)
    ]
    stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    fc = nn.Linear(64, classes, bias=False)
    return ResNet(layers, (3, 32, 32), stem, stages, fc, pool=False)


def _on_imagenet(
    stages: list[list[list[Step]]], layers: Layers, classes: int, width: int, side: int
) -> ResNet:
    stem = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
    fc = nn.Linear(stages[-1][-1][-1][0], classes)
    return ResNet(layers, (3, side, side), stem, stages, fc, pool=True)


def _stride(stage: int, index: int) -> int:
    return 2 if stage > 0 and index == 0 else 1


def _basic(channels: int, stride: int) -> list[Step]:
    return [(channels, 3, stride), (channels, 3, 1)]


def _bottleneck(channels: int, stride: int, stride_in: int) -> list[Step]:
    first, middle = (stride, 1) if stride_in == 1 else (1, stride)
    return [(channels, 1, first), (channels, 3, middle), (4 * channels, 1, 1)]
