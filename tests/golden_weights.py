"""The golden data's deterministic weights: every tensor is made from its key.

The recipe stands in docs/method/reference.md, Golden numbers.
"""

import math
import zlib

import numpy as np
import torch


def golden_state(module, salt=""):
    """Return a state dict for `module` filled by the recipe of the golden data."""
    state = module.state_dict()
    return {key: _value(key, tensor, state, salt) for key, tensor in state.items()}


def _value(key, tensor, state, salt):
    if not tensor.is_floating_point():
        return tensor
    shape = tuple(tensor.shape)
    noise = np.random.default_rng(zlib.crc32((salt + key).encode())).standard_normal(shape)
    noise = noise.astype(np.float32)
    f32 = np.float32
    if len(shape) >= 2:
        value = noise * f32(0.7 / math.sqrt(max(1, math.prod(shape[1:]))))
    elif key.endswith(".running_mean"):
        value = f32(0.1) * noise
    elif key.endswith(".running_var"):
        value = f32(1) + f32(0.1) * np.abs(noise)
    elif key.endswith(".bias"):
        value = f32(0.05) * noise
    elif key.removesuffix("weight") + "running_mean" in state:
        value = f32(1) + f32(0.1) * noise
    else:
        value = f32(0.25) + f32(0.05) * noise
    return torch.from_numpy(np.asarray(value))
