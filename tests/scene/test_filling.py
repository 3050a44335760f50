"""The hole rule of inpainting: what is uncovered belongs to what is behind."""

import numpy as np
import torch

from utils.scene.filling import fill_from_far

SKY, SLOPE, CLIFF = 0.6, 30.0, 110.0


def notched():
    """Disparity (90, 120), known: a slope with a notch in its ridge, where a cliff stood before it.

    Lines lead from the hole through the notch to the sky.
    """
    disparity = np.full((90, 120), SLOPE, np.float32)
    disparity[:25] = SKY
    disparity[20:, :30] = CLIFF
    disparity[25:29, 30:60] = CLIFF  # a ledge above the hole
    known = np.ones(disparity.shape, bool)
    known[29:75, 30:66] = known[40:75, 66:85] = known[25:29, 60:63] = False
    return disparity, known


def test_the_sky_is_not_seen_through_a_slope():
    """A line through a gap ends far away; alone it would put a streak of sky into the slope."""
    disparity, known = notched()
    view = np.stack([disparity / CLIFF] * 3 + [disparity])[None] * known
    given = torch.from_numpy(known[None, None].astype(np.float32))
    filled = fill_from_far(torch.from_numpy(view), given)[0, 3].numpy()
    assert np.array_equal(filled[known], disparity[known])
    assert np.isclose(filled[25, 60:63], SKY).all()  # in the notch
    below = filled[32:75, 34:85]
    assert np.isclose(below, SLOPE).all()
