import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from golden import data
from golden.batches import batches
from golden.imagenet import MEAN, STD
from golden.train import TrainConfig


def picture(path, size=(300, 260), color=(255, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, quality=95)


@pytest.fixture
def folder(tmp_path):
    for part in ("train", "val"):
        for name, color in (("n01", (255, 0, 0)), ("n02", (0, 0, 255))):
            for number in range(3):
                picture(tmp_path / part / name / f"{number}.JPEG", color=color)
    return tmp_path


def load(folder):
    return data.load("imagenet", folder, classes=2)


def test_folders_are_classes_in_the_order_of_their_names(folder):
    found = load(folder)
    assert found.train_images.shape == (6, 3, 224, 224)
    assert found.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    red = (np.array([1, 0, 0]) - MEAN) / STD
    np.testing.assert_allclose(found.test_images[:1][0, :, 50, 50], red, atol=0.05)


@pytest.mark.parametrize("size", [(224, 224), (1000, 30), (31, 700)])
def test_any_size_is_cropped_to_224(folder, size):
    picture(folder / "train" / "n01" / "0.JPEG", size)
    images = load(folder).train_images
    assert images[:1].shape == images.augmented(np.array([0]), np.array([5])).shape


def test_random_crops_depend_on_their_seed_alone(folder):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (280, 280, 3), dtype=np.uint8))
    noise.save(folder / "train" / "n01" / "0.JPEG")
    images = load(folder).train_images
    first, again, other = (images.augmented(np.array([0]), np.array([s])) for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_shares_of_two_processes_make_up_the_batches_of_one(folder):
    found, config = load(folder), TrainConfig.suited_to("imagenet", classes=2, batch_size=3)
    one, even, odd = (
        list(batches(found, config, torch.Generator().manual_seed(0), share))
        for share in (slice(None), slice(0, None, 2), slice(1, None, 2))
    )
    assert [len(labels) for _, labels, _ in one] == [3, 3] and len(even) == len(odd) == 2
    for (images, labels, size), part in zip(one, even, strict=True):
        assert torch.equal(images[::2], part[0]) and torch.equal(labels[::2], part[1])
        assert size == part[2] == 3


def test_a_damaged_picture_is_named(folder):
    path = folder / "val" / "n02" / "1.JPEG"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"n02/1.JPEG: must be a whole image file"):
        load(folder).test_images[:]


def test_a_picture_of_a_size_that_cannot_be_is_named(folder):
    path = folder / "val" / "n02" / "1.JPEG"
    Image.new("1", (1, 1)).save(path, "png")
    content = bytearray(path.read_bytes())
    content[16:24] = (60000).to_bytes(4, "big") * 2  # width and height
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"n02/1.JPEG: must be a whole image file"):
        load(folder).test_images[:]


def test_folders_that_are_missing_empty_or_of_other_names_are_refused(folder):
    with pytest.raises(ValueError, match=r"train: must hold 1000 class folders, not 2"):
        data.load("imagenet", folder)
    (folder / "val" / "n02").rename(folder / "val" / "n03")
    with pytest.raises(ValueError, match="folders of the same names, but 'n02' is in one"):
        load(folder)
    (folder / "train" / "n04").mkdir()
    with pytest.raises(FileNotFoundError, match=r"n04: no .jpeg, .jpg, .png files"):
        data.load("imagenet", folder, classes=3)
    with pytest.raises(FileNotFoundError, match="no train in"):
        load(folder / "val")
