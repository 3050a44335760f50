"""The compact inpainting network: what it may change, at which sizes, recognised from its file."""

import pytest
import torch

from models.compact_inpainting import GUESSES, CompactInpaint
from utils.scene.cloud import Scene
from utils.weights import loading as checkpoints

WIDTHS = (8, 12, 16)


def make_network(seed=0):
    torch.manual_seed(seed)
    network = CompactInpaint(WIDTHS).eval()
    torch.nn.init.normal_(network.exit[-1].weight, std=0.1)  # as if it had learned something
    return network


def make_view(size=(40, 56), seed=0):
    generator = torch.Generator().manual_seed(seed)
    guesses = torch.rand((2, GUESSES, 4, *size), generator=generator)
    guesses[:, :, 3] = 20 + 100 * guesses[:, :, 3]
    mask = torch.ones(2, 1, *size)
    mask[..., 10:20, 10:30] = 0
    return torch.where(mask[:, None] > 0, guesses[:, :1], guesses), mask


@pytest.mark.parametrize("size", [(40, 56), (41, 57), (24, 31), (2, 3), (1, 1)])
def test_any_size_comes_back(size):
    guesses, mask = torch.rand(1, GUESSES, 4, *size), torch.zeros(1, 1, *size)
    mask[..., 0] = 1
    with torch.inference_mode():
        filled = make_network()(guesses, mask)
    assert filled.image.shape == (1, 3, *size) and filled.disparity.shape == (1, 1, *size)
    assert filled.image.isfinite().all() and filled.disparity.isfinite().all()


def test_what_is_known_stays_and_holes_change():
    guesses, mask = make_view()
    with torch.inference_mode():
        filled = make_network()(guesses, mask)
    both = torch.cat([filled.image, filled.disparity], dim=1)
    assert torch.equal(both * mask, guesses[:, 0] * mask)
    assert not torch.allclose(both, guesses.mean(dim=1), atol=0.01)
    assert filled.image.min() >= 0 and filled.image.max() <= 1 and filled.disparity.min() >= 0


def test_scale_of_disparity_does_not_matter():
    guesses, mask = make_view()
    scaled = guesses.clone()
    scaled[:, :, 3] *= 7
    with torch.inference_mode():
        plain, large = make_network()(guesses, mask), make_network()(scaled, mask)
    torch.testing.assert_close(plain.image, large.image)
    torch.testing.assert_close(7 * plain.disparity, large.disparity)


def test_one_view_gives_the_same_inside_a_batch():
    guesses, mask = make_view()
    network = make_network()
    with torch.inference_mode():
        together, alone = network(guesses, mask), network(guesses[1:], mask[1:])
    torch.testing.assert_close(together.image[1:], alone.image)


def test_nothing_known_and_nothing_missing_are_survived():
    guesses, mask = make_view()
    with torch.inference_mode():
        assert make_network()(0 * guesses, 0 * mask).image.isfinite().all()
        assert torch.equal(make_network()(guesses, mask * 0 + 1).image, guesses[:, 0, :3])


def test_file_gives_back_the_network(tmp_path):
    network, path = make_network(), tmp_path / "network.safetensors"
    checkpoints.save_state_dict(path, network.state_dict())
    loaded = checkpoints.load_network(path, "inpainting")
    guesses, mask = make_view()
    with torch.inference_mode():
        assert torch.equal(loaded(guesses, mask).image, network(guesses, mask).image)
    assert loaded.widths == WIDTHS


def test_scene_is_inpainted_behind_its_object():
    """A green wall and a red box: what the box uncovers is green, and lies where the wall lies."""
    image, disparity = torch.zeros(1, 3, 48, 64), torch.full((1, 1, 48, 64), 20.0)
    image[:, 1] = 1
    image[..., 16:32, 24:40] = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    disparity[..., 16:32, 24:40] = 120
    scene = Scene(image, disparity, 32.0, 120.0)
    before = scene.cloud()[0].shape[1]
    torch.manual_seed(0)
    assert scene.inpaint(CompactInpaint(WIDTHS).eval(), (6.0, 0, 0)) > 20
    points, colors, _ = scene.cloud()
    assert (colors[before:] == (0, 255, 0)).all()
    assert abs(points[2, before:] - 32 * 120 / 20).max() < 1
