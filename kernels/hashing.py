"""Random numbers of a place, not of an order: the same whichever thread asks, and whatever for."""

from __future__ import annotations

import numpy as np

from .jit import jit

GOLDEN = np.uint32(0x9E3779B9)  # added to bits before they are scrambled once more


@jit
def mix(value: int | np.uint32) -> np.uint32:
    """Scramble 32 bits (the finaliser of MurmurHash3), as random numbers that need no state."""
    bits = np.uint32(value)
    bits ^= bits >> np.uint32(16)
    bits = np.uint32(bits * np.uint32(0x85EBCA6B))
    bits ^= bits >> np.uint32(13)
    bits = np.uint32(bits * np.uint32(0xC2B2AE35))
    return bits ^ (bits >> np.uint32(16))


@jit
def noise(y: int, x: int, seed: int) -> np.uint32:
    """32 random bits of a place, the same whichever other places are asked for."""
    return mix(mix(np.uint32(y) ^ np.uint32(seed)) + np.uint32(x))


@jit
def below(state: np.uint32, count: int) -> np.int64:
    """A whole number in [0, count) from scrambled bits."""
    return np.int64((np.uint64(state) * np.uint64(count)) >> np.uint64(32))
