"""Turn a checkpoint of train.py into weights that ship: half precision, safetensors.

    python -m models.bundled.pack_weights models/trained/disparity-bundled.tar \\
        models/bundled/disparity-estimation.safetensors
"""

import sys

from utils.checkpoints import read_state_dict
from utils.weight_files import save_state_dict


def pack_weights(source, target):
    """Write the weights of a checkpoint as float16; ValueError if it cannot be read.

    Args:
        source: checkpoint of train.py, or any file that `read_state_dict` takes.
        target: .safetensors to write.
    """
    state = read_state_dict(source)
    half = {key: value.half() if value.is_floating_point() else value
            for key, value in state.items()}
    save_state_dict(target, half)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    pack_weights(*sys.argv[1:])
