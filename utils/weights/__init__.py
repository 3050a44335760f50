"""Weights: which files, read without running them, recognised and loaded strictly."""

import lazy_loader

# What others use; a module is loaded when the first of its names is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "chosen": [
            "Networks",
            "choose_networks",
            "keep_networks",
            "find_weights",
            "load_inpainter",
        ],
        "files": ["read_checkpoint", "read_state_dict", "save_state_dict"],
        "loading": ["load_estimator", "load_network"],
    },
)
