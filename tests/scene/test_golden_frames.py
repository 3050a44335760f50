"""The reference's frames, assembled from our parts with the reference's conventions (SPEC 6).

Our own defaults differ on purpose (SPEC 12); `utils.scene.cloud` has its own tests.
"""

import json

import cv2
import h5py
import numpy as np
import pytest
import torch
from golden_filters import valid_mask
from golden_weights import golden_state

from kernels import fill_disocclusion, render_pointcloud
from models.pointcloud_inpainting import Inpaint
from utils.camera import CameraPath, CropWindow, unproject
from utils.filters import binary_median

FOCAL, BASELINE = 512.0, 120.0


def window_of(text):
    return CropWindow(*json.loads(text).values())


class Reference:
    """The cloud of one golden case and its frames, made the way the reference makes them."""

    def __init__(self, file, case):
        group = file["kenburns"]
        self.image = torch.from_numpy(group["image"][()])
        self.disparity = torch.from_numpy(group["disparity"][()])
        self.size = tuple(self.image.shape[2:])
        attributes = group[case].attrs
        self.path = CameraPath(window_of(attributes["window_from"]),
                               window_of(attributes["window_to"]), self.size,
                               group.attrs["depth_range_min"], FOCAL, bool(attributes["dolly"]))
        depth = FOCAL * BASELINE / (self.disparity + 1e-7)
        self.points = unproject(depth, FOCAL)  # G5: not masked
        self.features = torch.cat([self.image, depth], dim=1).flatten(2)

    def frame(self, t):
        pose = self.path.pose(t)
        shift = torch.tensor(pose.shift, dtype=torch.float32).view(1, 3, 1)
        view, coverage = render_pointcloud(self.points + shift, self.features, self.size,
                                           pose.focal_px, BASELINE)
        view = fill_disocclusion(view, view[:, 3:] * (coverage > 0))
        frame = (view[0, :3].permute(1, 2, 0).numpy() * 255).clip(0, 255).astype(np.uint8)  # G15
        patch = tuple(int(side) for side in self.path.crop[::-1])
        center = (self.size[1] / 2, self.size[0] / 2)  # G2
        return cv2.resize(cv2.getRectSubPix(frame, patch, center), self.size[::-1])

    def inpaint(self, network, t, valid_only):
        """Append what SPEC 6 appends, in its order; return it as (points, image, depth)."""
        pose = self.path.pose(t)
        shift = 1.1 * torch.tensor(pose.shift, dtype=torch.float32).view(1, 3, 1)
        keep = valid_mask(self.disparity).view(-1) > 0
        depth = pose.focal_px * BASELINE / (self.disparity + 1e-7)
        points = (unproject(depth, pose.focal_px) + shift)[:, :, keep].contiguous()
        image, disparity, statistics = network.normalise(self.image, self.disparity)
        context = network.context(image, disparity)
        features = torch.cat([image, disparity, context], dim=1).flatten(2)[:, :, keep].contiguous()
        view, coverage = render_pointcloud(points, features, self.size, pose.focal_px, BASELINE)
        known = (coverage > 0).float()
        known = known * binary_median(known, 5)
        view = view * known
        filled = network(view[:, :3], view[:, 3:4], known, view[:, 4:], statistics)
        depth = pose.focal_px * BASELINE / (filled.disparity + 1e-7)
        valid = valid_mask(filled.disparity)
        # G4: an invalid point sits at the origin, that is at minus the shift.
        points = unproject(depth * valid, pose.focal_px) - shift
        take = (known == 0).view(-1)
        if valid_only:
            take = take & (valid.view(-1) > 0)
        appended = points[:, :, take], filled.image.flatten(2)[:, :, take], \
            depth.flatten(2)[:, :, take]
        self.points = torch.cat([self.points, appended[0]], dim=2).contiguous()
        self.features = torch.cat([self.features, torch.cat(appended[1:], dim=1)], dim=2)
        self.features = self.features.contiguous()
        return appended


def assert_same_frame(ours, reference):
    # Holes that no line leads out of stay black there and take the nearest pixel here (G14).
    filled = (reference > 0).any(axis=2)
    assert filled.mean() > 0.99
    off = (np.abs(ours.astype(int) - reference.astype(int)) > 1)[filled]
    assert off.mean() <= 0.005, f"{off.mean():.2%} of the values differ by more than 1"


@pytest.mark.parametrize("case", ["3d_default_db", "3d_custom_db", "3d_custom_zoom_out_db",
                                  "dolly_default_db"])
def test_frames_match_golden(golden, case):
    with h5py.File(golden / "geometry.h5") as file:
        reference = Reference(file, case)
        steps = file["kenburns"][case].attrs["steps"]
        # At the end of the dolly zoom things nearer than d0 are behind the camera (G1).
        for index, t in enumerate(steps[:2] if "dolly" in case else steps):
            frame = file[f"kenburns/{case}/frame{index}_uint8_hwc"][()]
            assert_same_frame(reference.frame(t), frame)


@pytest.mark.parametrize("case", ["3d_default_inpaint_db", "3d_zoom_inpaint_db",
                                  "3d_zoom_inpaint_valid_only_db"])
@torch.inference_mode()
def test_inpainted_frames_match_golden(golden, case):
    network = Inpaint().eval()
    network.load_state_dict(golden_state(network))
    with h5py.File(golden / "geometry.h5") as file:
        reference, group = Reference(file, case), file["kenburns"][case]
        appended = [reference.inpaint(network, t, "valid_only" in case) for t in (0, 1)]
        count = sum(points.shape[2] for points, _, _ in appended)
        assert count == pytest.approx(group.attrs["points_appended"], rel=0.005)
        if "appended_points" in group and count == group.attrs["points_appended"]:
            points, image, _ = (torch.cat(parts, dim=2) for parts in zip(*appended, strict=True))
            np.testing.assert_allclose(image, group["appended_image"][()], atol=2e-3)
            far = np.abs(points - group["appended_points"][()]).numpy().max(axis=1)
            assert (far > 1e-2 * np.abs(group["appended_points"][()]).max()).mean() < 0.005
        for index, t in enumerate(group.attrs["steps"]):
            assert_same_frame(reference.frame(t), group[f"frame{index}_uint8_hwc"][()])


def test_crop_and_resize_match_golden(golden):
    with h5py.File(golden / "geometry.h5") as file:
        for case in file["crop_resize"].values():
            image = case["input_uint8_hwc"][()]
            height, width = image.shape[:2]
            patch = int(case.attrs["patch_width"]), int(case.attrs["patch_height"])
            cropped = cv2.getRectSubPix(image, patch, (width / 2, height / 2))
            np.testing.assert_array_equal(cropped, case["cropped_uint8_hwc"][()])
            resized = cv2.resize(cropped, (width, height)).astype(int)
            assert np.abs(resized - case["resized_uint8_hwc"][()]).max() <= 1
