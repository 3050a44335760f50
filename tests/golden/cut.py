"""Cut the golden numbers that the tests need out of the full recording.

    python -m tests.golden.cut FOLDER

FOLDER holds what running the reference gave (about 25 MB: networks.h5, geometry.h5, losses.h5 and
the JSON files). The tests read the cut, which is kept beside this script; run it again when a test
needs more, and say so in KEPT. Whatever is cut away is cut exactly: whole cases, samples of a
batch, channels that do not touch each other, corners and every n-th pixel of results.
"""

import argparse
import hashlib
import re
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).parent
LIMIT = 6_000_000  # bytes of all files together

# The recording points to a text of its own; here all is said in one place.
WHERE_SAID = (r"see SPEC(\.md section 2)?", "see docs/method.md")
COPIED = ("camera_paths.json", "cli_windows.json", "manifest.json", "sampling.json")

EVERYTHING, FIRST = (...,), (slice(0, 1),)
SPARSE = (slice(0, 1), slice(0, 8), slice(None, None, 4), slice(None, None, 4))
FEWER_CHANNELS = (slice(None), slice(0, 17))  # still more than the kernels add up at once
LEFT_TOP = (slice(0, 128), slice(0, 160))  # of a frame (288, 320, 3)
MIDDLE = (slice(80, 208), slice(80, 240))  # of a frame: where the dolly zoom opens holes
CORNER = (slice(0, 1), slice(None), slice(0, 32), slice(0, 40))  # slopes look up and left only

# (which datasets by full match, what of them); the first row that fits counts.
KEPT = {
    "networks.h5": (
        (r"(Semantics|Disparity|Refine|RefineP)/case1/.*", EVERYTHING),
        (r"(Partial)?Inpaint/forward1/(image|disparity|mask|out_.*)", EVERYTHING),
        (r"(Partial)?Inpaint/with_context0/(context_first8|normalized_.*)", SPARSE),
        (r"(Partial)?Inpaint/with_context0/.*", FIRST),
        (r"PartialConv2d/.*", EVERYTHING),
        (r"discriminators/(MPD|MultiScale.*)Discriminator/.*", EVERYTHING),
        (r"discriminators/inputs_288x304/.*", EVERYTHING),
    ),
    "geometry.h5": (
        (r"autozoom/.*", EVERYTHING),
        (r"(depth_to_points|spatial_filter|fill_disocclusion)/.*", EVERYTHING),
        (r"generate_mask/.*/(points|shift|raw_mask_point0_fixed)", EVERYTHING),
        (r"render_pointcloud/channels68/(data|render_db)", FEWER_CHANNELS),
        (
            r"render_pointcloud/.*/(points|data|render_db|weight_db|zee_(after_degrid_db|before_degrid))",
            EVERYTHING,
        ),
        (r"kenburns/(image|disparity)", EVERYTHING),
        (
            r"kenburns/3d_(default|custom|custom_zoom_out|default_inpaint|zoom_inpaint_valid_only)_db"
            r"/frame._uint8_hwc",
            LEFT_TOP,
        ),
        (r"kenburns/dolly_default_db/frame[01]_uint8_hwc", MIDDLE),
        (r"kenburns/(3d|dolly)_default_db/frame1_existing", EVERYTHING),
    ),
    "losses.h5": (
        (r"derivative_scale/.*", CORNER),
        (r"(depth_losses|misc|spectral_norm)/.*", EVERYTHING),
        (r"edges/(image|image_with_edges|disparity|mask|joint_.*)", EVERYTHING),
        (r"inpainting_loss/(output|gt|mask|adv_.*|forward_.*|extended_.*)", EVERYTHING),
        (r"metrics/correct_.*", EVERYTHING),
        (r"inpaint_metrics/(image|image_gt|correct_.*|ssim_.*|dssim_map_image)", EVERYTHING),
    ),
}


def cut(source, target, kept):
    """Copy what `kept` lists from one HDF5 file to another; equal arrays are stored once."""
    stored = {}
    with h5py.File(source) as whole, h5py.File(target, "w", libver="latest") as part:
        part.attrs.update(whole.attrs)

        def copy(name, item):
            what = next((what for pattern, what in kept if re.fullmatch(pattern, name)), None)
            if what is None or not isinstance(item, h5py.Dataset):
                return
            values = item[what] if item.shape else item[()]
            content = (values.shape, hashlib.sha256(np.ascontiguousarray(values)).digest())
            if content in stored:
                part[name] = part[stored[content]]  # a hard link
            else:
                stored[content] = name
                pack = {
                    "compression": "gzip",
                    "compression_opts": 9,
                    "shuffle": True,
                    "chunks": values.shape,
                }
                part.create_dataset(name, data=values, **(pack if values.size > 1 else {}))

        whole.visititems(copy)
        whole.visititems(lambda name, item: _copy_attributes(item, part.get(name)))


def _copy_attributes(item, copied):
    """Give a group that was kept what is said about it; traces are for a person to read."""
    if isinstance(copied, h5py.Group):
        copied.attrs.update({k: v for k, v in item.attrs.items() if not k.endswith("trace_json")})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the full recording")
    folder = parser.parse_args().folder
    for name, kept in KEPT.items():
        cut(folder / name, HERE / name, kept)
    for name in COPIED:
        (HERE / name).write_text(re.sub(*WHERE_SAID, (folder / name).read_text()))
    sizes = {path.name: path.stat().st_size for path in HERE.iterdir() if path.suffix != ".py"}
    for name, size in sorted(sizes.items()):
        print(f"{size / 1e6:8.3f} MB  {name}")
    print(f"{sum(sizes.values()) / 1e6:8.3f} MB in all")
    if sum(sizes.values()) > LIMIT:
        raise SystemExit(f"more than {LIMIT / 1e6:g} MB: leave something out of KEPT")


if __name__ == "__main__":
    main()
