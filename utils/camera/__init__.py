"""The virtual camera: crop windows, focus, its path, moves by name; search and shortening.

Convention: x right, y down, z forward. Pixel (0, 0) is centred at (0, 0), so a view of W x H pixels
has its principal point at ((W-1)/2, (H-1)/2) and spans -0.5 .. W-0.5. Windows are given as people
measure them: from the left and upper border, so the centre of the photo is (W/2, H/2).
"""

import lazy_loader

# What others use; a module is loaded when the first of its names is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "autozoom": ["AutoZoom", "find_zoom_window"],
        "focus": [
            "AIM_SLACK",
            "PATCH_SHARE",
            "Focus",
            "aim",
            "depth_range",
            "find_focus",
            "nearest_depth",
        ],
        "moves": ["MOST_GROWTH", "MOST_INVENTED", "MOVES", "Move", "Stage"],
        "path": ["NO_LENS", "CameraPath", "CameraPose", "Stand", "published_path"],
        "planning": ["Shot", "find_point", "plan_shot"],
        "projection": ["BASELINE", "default_focal_px", "unproject"],
        "shortening": ["invented_shares", "kept_part", "shorten_path"],
        "staging": ["MEASURED_SIDE", "plan_move", "set_stage"],
        "timing": ["path_times"],
        "trials": ["Lifted"],
        "windows": [
            "CropWindow",
            "WindowNumbers",
            "aspect_box",
            "check_window",
            "complete_windows",
            "fit_center",
        ],
    },
)
