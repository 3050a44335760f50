"""Our own RGB-D data: procedural scenes with exact depth, seen from several neighbouring places.

Scene k of seed s depends on (s, k) and the size alone, so any number of workers makes the same data
set. `python -m utils.synthetic --help` writes shards; `ensure_dataset` makes the default set on
first use; `open_shards` reads scenes one by one.

Conventions: depth is z in metres, exact at the ray through the pixel's centre; the sky and whatever
lies farther has 1000 m. A view v > 0 shows the points of view 0 moved by shift[v] (camera frame, x
right, y down, z forward), without turning. disparity = focal_px * baseline / depth with baseline
0.1 m: about 5 to 60 px for near things at 256 px width. Instances: 0 is background (ground, walls,
sky), other numbers are objects, the same in all views.
"""

from utils.synthetic.generate import generate_scene
from utils.synthetic.shards import Shards, ensure_dataset, open_shards, write_shards

__all__ = ["Shards", "ensure_dataset", "generate_scene", "open_shards", "write_shards"]
