"""Launches `three_kernels.cu`, the straightforward renderer that the GPU benchmark measures by."""

from pathlib import Path

import numpy as np
import torch

from kernels import cuda
from kernels.cpu_fill import UNITS

SOURCE = str(Path(__file__).with_suffix(".cu"))


class ThreeKernels:
    """A cloud on the GPU, rendered and filled pass by pass in planar floats."""

    def __init__(self, points, colors, disparity_scale):
        self.points, self.disparity_scale = points, np.float64(disparity_scale)
        ones = torch.ones_like(points[:1])
        self.features = torch.cat([colors.T.float() / 255, ones]).contiguous()
        self.units = torch.from_numpy(UNITS).to(points.device)

    def render(self, size, shift, focal_px):
        """Frame (H, W, 3) uint8 from the camera at `shift`."""
        moved = self.points + torch.tensor(shift, device=self.points.device).float()[:, None]
        count, sizes = np.int64(moved.shape[1]), tuple(map(np.int32, size))
        camera = count, np.float64(focal_px), self.disparity_scale, *sizes
        zbuffer = torch.full(size, 1e6, dtype=torch.float32, device=moved.device)
        closed, area = torch.empty_like(zbuffer), size[0] * size[1]
        sums = torch.zeros(4, *size, dtype=torch.float32, device=moved.device)
        cuda.launch(SOURCE, "plain_zbuffer", int(count), moved, *camera, zbuffer)
        cuda.launch(SOURCE, "plain_degrid", area, zbuffer, *sizes, closed)
        cuda.launch(SOURCE, "plain_splat", int(count), moved, self.features, *camera, closed, sums)
        view, coverage = sums[:3] / (sums[3] + 1e-7), sums[3]
        filled = torch.empty_like(view)
        cuda.launch(SOURCE, "plain_fill", area, view, closed, coverage, self.units, *sizes, filled)
        return (filled.permute(1, 2, 0) * 255).clamp(0, 255).byte()
