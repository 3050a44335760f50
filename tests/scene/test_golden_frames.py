"""The reference's frames, rendered by `Scene` with the reference's conventions.

What we do otherwise is switched off for the comparison, one named thing at a time
(docs/method/reference.md, What we do otherwise). Of the stored frames only a part is kept, and
compared.
"""

import json

import cv2
import h5py
import numpy as np
import pytest
import torch
from golden.cut import LEFT_TOP, MIDDLE
from golden_filters import valid_mask
from golden_weights import golden_state

import kernels
from models.pointcloud_inpainting import Inpaint
from utils.camera import CropWindow, published_path, unproject
from utils.scene import Scene, cloud

FOCAL, BASELINE = 512.0, 120.0


class ReferenceScene(Scene):
    """Scene whose points are not drawn wider when near, nor dropped where the photo shows them."""

    def _append_photo(self, keep):
        depth = FOCAL * BASELINE / self.disparity
        return self._append(unproject(depth, FOCAL), self.image, depth, keep)

    def _append(self, points, image, spacing, keep):
        # G15: the reference cuts grey levels off; half a level less makes rounding do the same.
        return super()._append(points, image - 0.5 / 255, torch.zeros_like(spacing), keep)

    def _seen_in_photo(self, points):
        return torch.zeros(points.shape[1], dtype=torch.bool)


class ReferenceInpaint(Inpaint):
    """Inpaint for a scene that takes its disparity as the moved camera's, not as the photo's."""

    advance = 0.0  # z of the shift
    seen = None  # the disparity that was inpainted last

    def forward(self, *arguments):
        filled = super().forward(*arguments)
        self.seen = filled.disparity
        depth = FOCAL * BASELINE / (filled.disparity + 1e-7)
        return filled._replace(disparity=FOCAL * BASELINE / (depth - self.advance))


@pytest.fixture
def film(golden, monkeypatch):
    """Make the scene and camera path of a golden case: `film(case) -> scene, path, group`."""
    # G5: the reference lifts every pixel of the photo, also those on the ramp of an edge.
    monkeypatch.setattr(cloud, "surface_mask", lambda disparity: disparity > 0)
    with h5py.File(golden / "geometry.h5") as file:

        def make(case):
            group = file["kenburns"]
            image, disparity = (
                torch.from_numpy(group[name][()]) for name in ("image", "disparity")
            )
            scene = ReferenceScene(image, disparity, FOCAL, BASELINE, rims=False)
            said = group[case].attrs
            windows = (
                CropWindow(*json.loads(said[name]).values())
                for name in ("window_from", "window_to")
            )
            path = published_path(
                *windows, scene.size, group.attrs["depth_range_min"], FOCAL, bool(said["dolly"])
            )
            return scene, path, group[case]

        yield make


def as_frame(view, path):
    """Crop and enlarge a view as the reference does: from the pixel (W/2, H/2) on, G2."""
    height, width = view.shape[:2]
    patch = tuple(int(side) for side in path.crop[::-1])
    return cv2.resize(cv2.getRectSubPix(view, patch, (width / 2, height / 2)), (width, height))


def stored_steps(group):
    """The times of a film whose frames are kept, and those frames."""
    for index, t in enumerate(group.attrs["steps"]):
        if f"frame{index}_uint8_hwc" in group:
            yield t, group[f"frame{index}_uint8_hwc"][()]


def difference(scene, path, t, reference, part=LEFT_TOP):
    """Grey levels between our frame and the stored one, and which of its pixels were holes."""
    pose = path.pose(t)
    view, holes = scene.render(pose.shift, pose.focal_px)
    frame = as_frame(view, path)[part].astype(int)
    holes = as_frame(holes.astype(np.uint8) * 255, path)[part] > 0
    # Holes that no line leads out of stay black there and take the nearest pixel here (G14).
    bridged = (reference > 0).any(axis=2)
    assert bridged.mean() > 0.99
    levels = np.abs(frame - reference)
    return levels[bridged], holes[bridged]


@pytest.mark.parametrize("case", ["3d_default_db", "3d_custom_db", "3d_custom_zoom_out_db"])
def test_frames_match_golden(film, case):
    scene, path, group = film(case)
    compared = 0
    for t, reference in stored_steps(group):
        levels, _ = difference(scene, path, t, reference)
        assert (levels > 1).mean() <= 0.005, f"t = {t}"
        compared += 1
    assert compared == 3


def test_dolly_zoom_matches_golden(film):
    """At its end things nearer than d0 are behind the reference's camera (G1): no frame is kept."""
    scene, path, group = film("dolly_default_db")
    for t, reference in stored_steps(group):
        levels, holes = difference(scene, path, t, reference, MIDDLE)
        assert (levels[~holes] > 1).mean() <= 0.005
        if t > 0:
            # Of two ends of a line the reference takes that with the larger *rendered* depth, we
            # that with the farther z-buffer; they disagree where near and far are blended.
            assert 0.1 < holes.mean() < 0.3
            assert (levels[holes] > 1).mean() <= 0.1


def test_dolly_zoom_by_the_public_operators_matches_golden(film):
    """By `render_pointcloud` and `fill_disocclusion` holes are the same, too."""
    scene, path, group = film("dolly_default_db")
    depth = FOCAL * BASELINE / (scene.disparity + 1e-7)
    points, features = unproject(depth, FOCAL), torch.cat([scene.image, depth], dim=1).flatten(2)
    for t, reference in stored_steps(group):
        pose = path.pose(t)
        shift = torch.tensor(pose.shift, dtype=torch.float32).view(1, 3, 1)
        view, coverage = kernels.render_pointcloud(
            points + shift, features, scene.size, pose.focal_px, BASELINE
        )
        view = kernels.fill_disocclusion(view, view[:, 3:] * (coverage > 0))
        frame = (view[0, :3].permute(1, 2, 0).numpy() * 255).clip(0, 255).astype(np.uint8)  # G15
        bridged = (reference > 0).any(axis=2)
        assert bridged.mean() > 0.99
        levels = np.abs(as_frame(frame, path)[MIDDLE].astype(int) - reference)[bridged]
        assert (levels > 1).mean() <= 0.005, f"t = {t}"


@pytest.mark.parametrize("case", ["3d_default_db", "dolly_default_db"])
def test_holes_are_where_the_reference_has_them(film, case):
    scene, path, group = film(case)
    pose = path.pose(0.5)
    _, holes = scene.render(pose.shift, pose.focal_px, fill=False)
    existing = group["frame1_existing"][0, 0] > 0
    assert (holes == existing).mean() <= 0.001
    assert (holes & ~existing).sum() > 100  # there are some


@pytest.mark.parametrize("case", ["3d_default_inpaint_db", "3d_zoom_inpaint_valid_only_db"])
def test_inpainted_frames_match_golden(film, case, monkeypatch):
    scene, path, group = film(case)
    network = ReferenceInpaint().eval()
    network.load_state_dict(golden_state(network))
    monkeypatch.setattr(
        cloud,
        "surface_mask",
        lambda disparity: (
            valid_mask(disparity if disparity is scene.disparity else network.seen) > 0
        ),
    )
    added = 0
    for t in (0, 1):
        pose = path.pose(t)
        shift = [1.1 * value for value in pose.shift]
        network.advance = shift[2]
        added += scene.inpaint(network, shift, pose.focal_px)
    assert added == scene.cloud()[0].shape[1] - scene.photo_points
    if "valid_only" in case:  # otherwise the reference adds the others too, as specks (G4)
        assert added == pytest.approx(group.attrs["points_appended"], rel=0.005)
    for t, reference in stored_steps(group):
        levels, holes = difference(scene, path, t, reference)
        assert (levels > 1).mean() <= 0.005
        assert holes.mean() < 0.05  # without inpainting up to 0.15
