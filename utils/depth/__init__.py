"""Depth of a photo: estimators, refinement and sharpening, depth-map files and what they mean."""

import lazy_loader

# What others use; a module is loaded when the first of its names is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "estimators": ["estimate_disparity", "fit_disparity", "read_disparity", "refine_disparity"],
        "frames": ["write_depth"],
        "joining": ["align"],
        "kept": ["KeptDepth"],
        "maps": ["cut_map", "find_disparity", "find_map", "fit_shape"],
        "map_files": [
            "MAP_SUFFIXES",
            "read_depth",
            "read_numbers",
            "saved_peak",
            "write_disparity",
        ],
        "map_kind": ["guess_kind", "known_depth", "to_disparity"],
        "own": ["Own", "find_own"],
        "sharpening": ["resize_disparity", "upsample_disparity"],
    },
)
