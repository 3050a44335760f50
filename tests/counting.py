"""Work for `utils.processes.spread`, in a module that its processes load at once."""

import os


def count_to(number):
    """Work for `spread`: yields, fails, or dies."""
    if number == 13:
        raise ValueError("thirteen")
    if number == 14:
        os._exit(7)
    yield from range(number)
