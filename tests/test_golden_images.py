import torch

from golden.images import mirrored, shifted, shifts


def test_a_shift_moves_the_image_and_brings_in_background():
    images = torch.full((50, 3, 32, 32), 1.0)
    images[:, :, 10, 12] = 5.0
    places = shifts(50, 2, torch.Generator().manual_seed(0))
    moved = shifted(images, places, 2, background=-0.5)
    spots = {tuple((image[2] == 5).nonzero()[0].tolist()) for image in moved}
    assert spots <= {(row, col) for row in range(8, 13) for col in range(10, 15)}
    assert len(spots) > 10
    assert set(moved.unique().tolist()) == {-0.5, 1.0, 5.0}
    assert torch.equal(moved[:, 0], moved[:, 2])


def test_no_shift_draws_nothing():
    assert shifts(5, 0, torch.Generator()) is None


def test_a_mirrored_image_has_left_and_right_exchanged():
    images = torch.arange(12.0).reshape(2, 1, 2, 3)
    found = mirrored(images, torch.tensor([False, True]))
    assert torch.equal(found[0], images[0])
    assert found[1, 0].tolist() == [[8, 7, 6], [11, 10, 9]]
