"""Join two disparity networks into the one file that ships.

    python -m models.bundled.join_networks models/bundled/disparity-estimation.safetensors \\
        LAYOUT DETAIL

LAYOUT holds a compact network, or a pair whose layout is taken; DETAIL an efficient one, likewise.
"""

import sys
from pathlib import Path

from models.paired_estimation import part_of
from utils.weights.files import save_state_dict
from utils.weights.loading import read_state_dict


def join_networks(target: str | Path, layout: str | Path, detail: str | Path) -> None:
    """Write both networks as one pair in float16; ValueError if a file cannot be read.

    Args:
        target: .safetensors to write.
        layout, detail: checkpoints of train.py, or any files that `read_state_dict` takes.
    """
    parts = {"layout": read_state_dict(layout), "detail": read_state_dict(detail)}
    parts = {name: part_of(state, name) or state for name, state in parts.items()}
    state = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}
    save_state_dict(target, {key: value.half() for key, value in state.items()})


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    join_networks(*sys.argv[1:])
