"""What ships in models/bundled: whole, small, told apart, described; and how a file gets there."""

from pathlib import Path

import cv2
import numpy as np
import torch
from kornia.filters import gaussian_blur2d

from models.bundled.pack_weights import pack_weights
from models.bundled.relabel_photos import main as relabel_photos
from models.bundled.relabel_photos import relabel, stand_out
from models.bundled.transplant import fit_laterals
from models.compact_estimation import CompactDisparity
from models.efficient_estimation import EfficientDisparity
from models.roles import Estimator
from utils.depth.estimators import refine_disparity
from utils.depth.sharpening import resize_disparity
from utils.film.photos import write_image
from utils.synthetic import generate_scene
from utils.training.data_sets import open_data_set
from utils.weights import loading as checkpoints
from utils.weights.files import save_state_dict

BUNDLED = Path(__file__).resolve().parents[2] / "models" / "bundled"
FILES = sorted(BUNDLED.glob("*.safetensors"))


def test_together_they_stay_small_and_the_card_names_each():
    for name in ("disparity-estimation", "disparity-refinement"):
        assert BUNDLED / f"{name}.safetensors" in FILES
    assert sum(path.stat().st_size for path in FILES) <= 40e6
    card = (BUNDLED / "MODEL_CARD.md").read_text()
    for path in FILES:
        assert path.name in card


def test_packed_weights_give_the_same_disparity(tmp_path):
    torch.manual_seed(0)
    network = CompactDisparity((8, 8, 8, 8, 8), 1).eval()
    save_state_dict(tmp_path / "whole.safetensors", network.state_dict())
    pack_weights(tmp_path / "half.safetensors", tmp_path / "whole.safetensors")
    photo = torch.rand(1, 3, 64, 96)
    packed = checkpoints.load_estimator(tmp_path / "half.safetensors")
    with torch.inference_mode():
        before, after = network(photo), packed(photo)
    assert after.dtype == torch.float32
    assert float((after - before).abs().max()) < 5e-3 * float(before.abs().max())
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]


def test_several_checkpoints_are_packed_as_their_mean(tmp_path):
    for value in (1.0, 2.0, 6.0):
        save_state_dict(tmp_path / f"{value}.safetensors", {"weight": torch.full((3,), value)})
    pack_weights(tmp_path / "mean.safetensors", *tmp_path.glob("*.safetensors"))
    mean = checkpoints.read_state_dict(tmp_path / "mean.safetensors")
    assert mean["weight"].tolist() == [3.0] * 3


def test_packed_weights_may_be_read_by_everyone(tmp_path):
    save_state_dict(tmp_path / "a.safetensors", {"weight": torch.ones(2)})
    (tmp_path / "b").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "b").stat().st_mode


class Ramp(Estimator, torch.nn.Module):
    """Stands for a network that takes every photo for a floor: nearer to the bottom."""

    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.ones(()))

    def forward(self, image):
        rows = self.slope * torch.linspace(0, 1, image.shape[2] // 2)
        return rows.view(1, 1, -1, 1).expand(len(image), 1, -1, image.shape[3] // 2)


def test_new_labels_are_trusted_where_both_teachers_agree():
    image = np.zeros((64, 96, 3), np.uint8)
    floor = np.linspace(0, 255, 32).round().astype(np.uint8)[:, None].repeat(48, axis=1)
    trust = np.full((16, 24), 200, np.uint8)
    label, confidence = relabel(image, floor, trust, Ramp())
    assert label.shape == (32, 48) and np.abs(label.astype(int) - floor).max() < 12
    assert (confidence > 170).all()
    disputed = floor.copy()
    disputed[:16, 24:] = 255  # something near above, which the network does not see
    label, confidence = relabel(image, disputed, trust, Ramp())
    assert floor[4, 36] < label[4, 36] < 255
    assert confidence[2, 18] < 110 < confidence[12, 4]


def test_what_stands_out_of_a_ramp_is_lifted_off_it_with_the_outline_of_its_mask():
    ramp = np.linspace(0, 1, 96, dtype=np.float32)[:, None].repeat(128, axis=1)
    mask = np.zeros((192, 256), np.float32)
    mask[60:140, 100:160] = 1  # stands on the ground at two thirds of the height
    label, lifted = stand_out(ramp, mask)
    outside = cv2.resize(mask, (128, 96), interpolation=cv2.INTER_AREA) == 0
    assert np.abs(label - ramp)[outside].max() < 0.05, "the ground stays"
    beside = label[35, 50:80] - ramp[35, 50:80]
    assert beside.min() > 0.1 and lifted[35, 60] > 0.1, "its head is nearer than what is behind"
    assert lifted[69, 50:80].max() < 0.03, "its feet stay on the ground"
    assert label[35, 51] - label[35, 48] > 0.1, "and the step is where the mask ends"


def test_a_vague_mask_changes_nothing():
    ramp = np.linspace(0, 1, 96, dtype=np.float32)[:, None].repeat(128, axis=1)
    label, lifted = stand_out(ramp, np.full((96, 128), 0.5, np.float32))
    assert (label == ramp).all() and not lifted.any()


def test_a_folder_is_relabelled_as_a_data_set(tmp_path):
    save_state_dict(tmp_path / "net.safetensors", CompactDisparity((8, 8, 8, 8, 8), 1).state_dict())
    shapes = {"images": (64, 96, 3), "disparity": (32, 48), "confidence": (16, 24)}
    for name, shape in shapes.items():
        (tmp_path / "old" / name).mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
        write_image(tmp_path / "old" / name / "a.png", pixels)
    relabel_photos(tmp_path / "old", tmp_path / "new", tmp_path / "net.safetensors")
    opened = open_data_set(
        {
            "name": "new",
            "path": str(tmp_path / "new"),
            "disparity": "relative",
            "param": {"baseline": 1, "focal": 192},
        }
    )
    view = opened.views(0)[0]
    assert view["stored"].shape == (32, 48) and view["confidence"].shape == (16, 24)


def test_shipped_refinement_brings_softened_edges_back():
    """Scenes that it never saw, their exact disparity softened as an estimate is."""
    network = checkpoints.load_network(BUNDLED / "disparity-refinement.safetensors", "refinement")
    ratios = []
    for index in range(3):
        scene = generate_scene(9100, index, (384, 512), views=1)
        photo = torch.from_numpy(scene["image"][0]).permute(2, 0, 1)[None] / 255
        exact = torch.from_numpy(1 / scene["depth"][0].astype(np.float32))[None, None]
        coarse = gaussian_blur2d(resize_disparity(exact, (96, 128)), (7, 7), (1.5, 1.5))
        errors = [
            (guess - exact).abs()
            for guess in (
                refine_disparity(network, photo, coarse),
                resize_disparity(coarse, (384, 512)),
            )
        ]
        at_edges = errors[1] > 0.04 * exact.max()
        ratios.append(float(errors[0][at_edges].mean() / errors[1][at_edges].mean()))
    assert max(ratios) < 0.85, ratios


def test_a_transplanted_grid_goes_on_where_the_first_network_stood():
    """The rows of the first network, made of the second's features: nearer than by chance."""
    torch.manual_seed(0)
    first = CompactDisparity((8, 8, 8, 8, 8), 1).eval()
    second = EfficientDisparity((8, 8, 8, 8, 8), 1).eval()
    noise = torch.rand(12, 1, 3, 64, 96)
    photos = [3 * gaussian_blur2d(one, (9, 9), (2.0, 2.0)) - 1 for one in noise]

    def apart():
        with torch.inference_mode():
            wanted = [
                lateral(tap)
                for lateral, tap in zip(first.laterals, first.encoder(photos[0]), strict=True)
            ]
            return [
                float((row - goal).square().mean() / goal.var())
                for row, goal in zip(second.rows(photos[0]), wanted, strict=True)
            ]

    before = apart()
    explained = fit_laterals(second, first, photos)
    assert all(0 < share <= 1 for share in explained)
    assert all(after < start for after, start in zip(apart(), before, strict=True))
