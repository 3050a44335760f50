"""Turn checkpoints of train.py into weights that ship: half precision, safetensors.

    python -m models.bundled.pack_weights models/bundled/disparity-estimation.safetensors \\
        models/trained/disparity-second.tar models/trained/disparity-last.tar

Of several checkpoints of one training the mean is packed: it knows other data better than the last.
"""

import sys
from pathlib import Path

import torch

from utils.weights.files import save_state_dict
from utils.weights.loading import read_state_dict


def pack_weights(target: str | Path, *sources: str | Path) -> None:
    """Write the mean weights of checkpoints as float16; ValueError if one cannot be read.

    Args:
        target: .safetensors to write.
        sources: checkpoints of train.py, or any files that `read_state_dict` takes.
    """
    states = [read_state_dict(source) for source in sources]
    mean = {
        key: torch.stack([state[key].float() for state in states]).mean(dim=0) for key in states[0]
    }
    save_state_dict(target, {key: value.half() for key, value in mean.items()})


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    pack_weights(*sys.argv[1:])
