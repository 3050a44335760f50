"""Which neighbours are one surface."""

import numpy as np
import pytest
import torch

from utils.scene import Scene, connected


def test_neighbours_hang_together_up_to_a_step():
    """Pairs below the step, both kept; against a far ground half a step cuts already."""
    disparity = np.float32([[100, 96, 88], [100, 99, 99], [4, 8.5, 99]])
    kept = np.ones((3, 3), bool)
    kept[0, 0] = False
    right, down = connected(disparity, kept, limit=6)
    assert right.tolist() == [[False, False], [True, True], [False, False]]
    assert down.tolist() == [[False, True, False], [False, False, True]]


def test_the_step_is_a_share_of_the_largest_disparity():
    """As for edges: 6 %."""
    kept = np.ones((1, 2), bool)
    assert connected(np.float32([[120, 113]]), kept)[0].all()
    assert not connected(np.float32([[120, 112]]), kept)[0].any()


@pytest.mark.parametrize("rims", [True, False])
def test_a_scene_hangs_together_but_for_its_edges(rims):
    """A square before a wall: each of both is one piece, and nothing leads across."""
    disparity = torch.full((1, 1, 40, 50), 40.0)
    disparity[:, :, 12:28, 15:35] = 100
    scene = Scene(torch.rand(1, 3, 40, 50), disparity, 25.0, 100.0, rims=rims)
    for _ in range(2):
        (right, down), level = scene.connected(), scene.solid()[1][0, 0].numpy()
        assert not right[level[:, :-1] != level[:, 1:]].any()
        assert not down[level[:-1] != level[1:]].any()
        kept = scene.kept()[0, 0].numpy()
        both = kept[:, :-1] & kept[:, 1:] & (level[:, :-1] == level[:, 1:])
        assert right[both].all()
        assert both.mean() > 0.8
        scene.inpaint(None, (-20, 0, 0))
    assert scene.kept().all() == rims, "what lies behind rims came with the inpainting"
