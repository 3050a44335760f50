"""Damage files of every kind that we read, and see that the readers only ever say so.

    python -m tests.fuzz --inputs 120000 [--seed 0] [--only IMAGE] [--json FILE]     (nightly)

An input is a small valid file, changed at random: bits, bytes, runs, lengths, numbers at the edges
of their range, pieces of two files. Readers work in processes of their own, under an alarm and a
limit of memory. Well done is a result, or a ValueError or OSError that names the file; anything
else is kept under results/fuzz/ and ends the run with status 1.
"""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BATCH = 4000  # inputs per process
HANG_S = 20  # of computing, for one input, and of waiting thirty times as long
MEMORY_BYTES = 8 * 2**30  # of address space, of which torch alone takes several
GROWTH_BYTES = 1.5e9  # of what one input may take
MAX_PIXELS = 20_000_000  # instead of 400 million, or most of the time would go into zeroing memory
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


# -- valid files ----------------------------------------------------------------------------------


def seeds(reader):
    """Return {name: content} of small valid files of one kind."""
    makers = {
        "image": images,
        "depth": depths,
        "weights": weights,
        "video": videos,
        "data set": data_sets,
        "scenes": scenes,
        "list": lists,
        "phone": phones,
    }
    with tempfile.TemporaryDirectory() as folder:
        return makers[reader](Path(folder))


def picture(height=20, width=24):
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 9 % 256, columns * 7 % 256, rows * columns % 256]).astype(np.uint8)


def images(_folder):
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    kinds = {
        "JPEG": {},
        "PNG": {},
        "WEBP": {},
        "TIFF": {"compression": "tiff_lzw"},
        "GIF": {},
        "BMP": {},
        "JPEG2000": {},
        "PPM": {},
        "QOI": {},
        "AVIF": {},
        "HEIF": {},
    }
    image, made = Image.fromarray(picture()), {}
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photo"
    for kind, options in kinds.items():
        for variant, pixels in (
            ("", image),
            ("-grey", image.convert("L")),
            ("-alpha", image.convert("RGBA")),
        ):
            buffer = io.BytesIO()
            try:
                pixels.save(
                    buffer,
                    kind,
                    **options | ({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}),
                )
            except (OSError, ValueError, KeyError):  # no such kind of it
                continue
            made[kind + variant] = buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", progressive=True)
    image.convert("CMYK").save(more := io.BytesIO(), "JPEG")
    Image.fromarray(picture()[..., 0].astype(np.uint16) * 257).save(deep := io.BytesIO(), "PNG")
    made |= tiffs()
    return made | {
        "JPEG-progressive": buffer.getvalue(),
        "JPEG-CMYK": more.getvalue(),
        "PNG-16": deep.getvalue(),
    }


def phones(_folder):
    """Photographs with depth, a second eye and a lens in their files."""
    from tests.phone_files import (
        apple_jpeg,
        dynamic_depth_jpeg,
        encoded,
        gdepth_jpeg,
        heic,
        mpf_jpeg,
    )

    photo, grey = picture(), picture()[::2, ::2, 0].copy()
    eyes, kinds = two_views(), (0x020002, 0x020002)
    return {
        "apple.jpg": apple_jpeg(photo, grey),
        "gdepth.jpg": gdepth_jpeg(photo, grey),
        "dynamic.jpg": dynamic_depth_jpeg(photo, grey),
        "pair.mpo": mpf_jpeg([encoded(photo), encoded(photo)], kinds),
        "eyes.mpo": mpf_jpeg([encoded(one) for one in eyes], kinds),
        "depth.heic": heic([photo, grey], depth_of_first=True, focal=0.8),
        "pair.heic": heic([photo, photo], pair=True),
        "beside.heic": heic([*eyes, eyes[0][4:-4, 6:-6].copy()], pair=True, primary=2),
    }


def two_views(height=64, width=88):
    """A card before a wall, small, and textured enough to be matched."""
    import cv2

    noise = np.random.default_rng(3).normal(0, 1, (height, width + 20, 3)).astype(np.float32)
    wall = (cv2.GaussianBlur(noise, (0, 0), 1.2) * 110 + 128).clip(0, 255).astype(np.uint8)
    views = []
    for eye in (0, 1):
        view = wall[:, 4 * eye : 4 * eye + width].copy()
        view[16:48, 40 - 12 * eye : 64 - 12 * eye] = wall[8:40, -24:] // 2 + 60
        views.append(view)
    return views


def tiffs():
    """TIFF of the kinds that scanners, faxes and science write, and HEIF of more than 8 bits."""
    import pillow_heif
    import tifffile
    from PIL import Image

    rgb, made = picture(), {}
    grey = rgb[..., 0].astype(np.uint16) * 257
    kinds = {
        "white-is-zero": (grey, {"photometric": "miniswhite"}),
        "planar-16": (
            np.moveaxis(rgb, 2, 0).astype(np.uint16) * 257,
            {"photometric": "rgb", "planarconfig": "separate"},
        ),
        "12-in-16": (grey >> 4, {"extratags": [(281, "H", 1, 4095, True)]}),
        "signed": (grey.astype(np.int32) - 9000, {}),
        "32": (grey.astype(np.uint32) * 65537, {}),
        "float": (rgb.astype(np.float32) / 255, {"photometric": "rgb"}),
        "tiled": (rgb, {"tile": (16, 16), "photometric": "rgb"}),
        "big": (rgb, {"photometric": "rgb", "rowsperstrip": 3}),
    }
    for name, (pixels, options) in kinds.items():
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, pixels, bigtiff=name == "big", **options)
        made[f"TIFF-{name}"] = buffer.getvalue()
    buffer = io.BytesIO()
    pages = [Image.fromarray(rgb[:9, :9]), Image.fromarray(rgb)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    made["TIFF-pages"] = buffer.getvalue()
    buffer = io.BytesIO()
    Image.fromarray(rgb[..., 0]).convert("1").save(buffer, "TIFF", compression="group4")
    made["TIFF-fax"] = buffer.getvalue()
    deep = pillow_heif.from_bytes("RGB;16", (20, 24), (rgb.astype(np.uint16) * 257).tobytes())
    buffer = io.BytesIO()
    deep.save(buffer, bit_depth=10)
    made["HEIF-10"] = buffer.getvalue()
    return made


def scenes(folder):
    from utils.synthetic import write_shards

    (path,) = write_shards(folder / "scenes", 2, (16, 16), 2, workers=1)
    return {path.name: path.read_bytes()}


def lists(_folder):
    """Lists of photos as spreadsheets and programs write them."""
    table = (
        "photo;move;seconds;focus;windows\na.jpg;orbit;4;10,20;\nb é.png;;2.5;;startW=80 endU=3\n"
    )
    rows = [{"photo": "a.jpg", "move": "orbit", "focus": [1, 2]}, {"photo": "b", "startW": 80}]
    return {
        "a.csv": table.encode("utf-8-sig"),
        "crlf.csv": table.replace("\n", "\r\n").encode(),
        "utf16.csv": table.encode("utf-16"),
        "plain.txt": b'a.jpg\r\n"b c.png"\nfile:///d.png\n',
        "utf16.txt": 'a.jpg\r\n"b é.png"\r\n'.encode("utf-16"),
        "null.txt": b"a.jpg\0b c.png\0",
        "a.jsonl": "\n".join(map(json.dumps, rows)).encode(),
    }


def depths(folder):
    import h5py
    import OpenEXR
    from PIL import Image

    values = np.linspace(1, 9, 20 * 24, dtype=np.float32).reshape(20, 24)
    np.save(folder / "a.npy", values)
    np.savez(folder / "a.npz", depth=values)
    np.savez_compressed(folder / "b.npz", disparity=values, other=values)
    (folder / "a.pfm").write_bytes(b"Pf\n24 20\n-1.0\n" + values.tobytes())
    Image.fromarray(values).save(folder / "a.tiff")
    Image.fromarray((values * 6000).astype(np.uint16)).save(folder / "a.png")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("depth", data=values, chunks=(10, 12), compression="gzip")
    with h5py.File(folder / "a.mat", "w", userblock_size=512) as file:
        file.create_dataset("depth", data=values.T)
    data = (folder / "a.mat").read_bytes()
    (folder / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + data[512:])
    OpenEXR.File(
        {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, {"Z": values}
    ).write(str(folder / "a.exr"))
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[ab].*"))}


def weights(folder):
    import torch

    from models.disparity_refinement import RefinePretrained
    from utils.weights.loading import save_state_dict

    state = RefinePretrained((1, 1, 1)).state_dict()
    save_state_dict(folder / "w.safetensors", state)
    torch.save({"model_state_dict": state}, folder / "w.zip")
    torch.save(state, folder / "w.legacy", _use_new_zipfile_serialization=False)
    return {path.name: path.read_bytes() for path in sorted(folder.glob("w.*"))}


def videos(folder):
    from utils.film.video import CODECS, VideoWriter

    for name, codec in CODECS.items():
        for suffix in codec.suffixes:
            with VideoWriter(
                folder / f"{name}{suffix}", (48, 64), 25, name, metadata={"fingerprint": "x"}
            ) as video:
                for shift in range(3):
                    video.write(np.roll(picture(48, 64), shift, 1))
    return {
        path.name: path.read_bytes() for path in sorted(folder.glob("*.*")) if path.stem in CODECS
    }


def data_sets(_folder):
    from train import DATASETS

    entry = {"name": "mine", "path": "photos", "param": {"baseline": 74, "focal": 512}}
    made = [DATASETS, [entry], [entry | {"depth_unit": 0.001, "weight": 2, "confidence": True}]]
    return {
        f"{number}.json": json.dumps(value, default=str).encode()
        for number, value in enumerate(made)
    }


# -- damage ---------------------------------------------------------------------------------------


def damage(rng, data, other):
    """Return `data` changed in a few random ways, pieces of `other` among them."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        if not data:
            break
        at = int(
            rng.integers(len(data))
            if rng.random() < 0.6
            # headers matter most
            else min(len(data) - 1, rng.geometric(0.02))
        )
        length = int(min(rng.geometric(0.05), len(data) - at))
        how = rng.integers(10)
        if how == 0:
            data[at] ^= 1 << rng.integers(8)
        elif how == 1:
            data[at] = rng.integers(256)
        elif how == 2:
            data[at : at + length] = rng.bytes(length)
        elif how == 3:
            del data[at : at + length]
        elif how == 4:
            data[at:at] = rng.bytes(length)
        elif how == 5:
            data[at:at] = data[at : at + length] * int(rng.integers(1, 50))
        elif how == 6:
            del data[at:]
        elif how == 7:
            size = int(rng.choice([1, 2, 4, 8]))
            number = int(rng.choice(EDGES)) % 256**size
            data[at : at + size] = number.to_bytes(size, rng.choice(["little", "big"]))
        elif how == 8:
            begin = int(rng.integers(len(other)))
            data[at : at + length] = other[begin : begin + length]
        else:
            data[at : at + length] = bytes(length)
    return bytes(data)


def make_input(files, seed, number):
    """Return (name, content) of one input; the same for the same seed and number."""
    rng = np.random.default_rng((seed, number))
    names = sorted(files)
    name, other = names[number % len(names)], names[rng.integers(len(names))]
    return name, damage(rng, files[name], files[other])


# -- readers --------------------------------------------------------------------------------------


def read_as_image(path):
    from utils.film.photos import read_image

    pixels = read_image(path).pixels
    assert pixels.ndim == 3 and pixels.dtype == np.uint8


def read_as_depth(path):
    from utils.depth.estimators import read_disparity

    disparity, _ = read_disparity(path)
    assert disparity.ndim == 2 and np.isfinite(disparity).all() and disparity.min() >= 0


def read_as_phone(path):
    from utils.depth.own import find_own
    from utils.film import find_focal, read_image, read_parts

    photo, parts = read_image(path), read_parts(path)
    own = find_own(path, photo, parts)  # what is broken it only says
    assert own is None or own.disparity.dtype == np.float32
    find_focal(parts, photo.pixels.shape[:2])


def read_as_weights(path):
    from utils.weights.loading import load_network

    load_network(path, "refinement")


def read_as_video(path):
    from utils.film.video import holds_frames, read_metadata

    holds_frames(path, 3)
    read_metadata(path)


def read_as_data_set(path):
    from train import known_data_sets
    from utils.training.data_sets import open_data_set

    for data_set in known_data_sets(path).values():
        if "generate" not in data_set:
            open_data_set(data_set)


def read_as_scenes(path):
    """The shard under its own name in a folder of its own; the message names that."""
    from utils.synthetic import open_shards

    folder = path.with_name(path.name + ".d")
    folder.mkdir(exist_ok=True)
    shard = folder / "scenes-000000.h5"
    shard.unlink(missing_ok=True)
    os.link(path, shard)
    shards = open_shards(folder)
    for index in range(len(shards)):
        assert shards[index]["image"].dtype == np.uint8


def read_as_list(path):
    """As a plain list, as CSV and as JSON lines: the suffix decides which."""
    from utils.cli.lists import read_list
    from utils.cli.runs import _listed

    assert all(_listed(path.read_bytes().decode("utf-8", "surrogateescape")))
    refused = []
    for suffix in (".csv", ".jsonl"):
        linked = path.with_name(path.name + suffix)
        linked.unlink(missing_ok=True)
        os.link(path, linked)
        try:
            assert all(name for name, _ in read_list(linked))
        except ValueError as error:
            refused.append(error)
    if len(refused) == 2:
        raise refused[0]


READERS = {
    "image": read_as_image,
    "depth": read_as_depth,
    "weights": read_as_weights,
    "video": read_as_video,
    "data set": read_as_data_set,
    "scenes": read_as_scenes,
    "list": read_as_list,
    "phone": read_as_phone,
}


def work(reader, seed, first, count, folder):
    """Read inputs in this process; write what happened to each as one line of JSON."""
    import resource

    import torch  # noqa: F401 - before memory is limited and measured

    from utils.depth import map_files as depth_files
    from utils.film import opening, photos

    for module in (depth_files, opening, photos):
        module.MAX_PIXELS = MAX_PIXELS
    files, path = seeds(reader), folder / "input"
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(first, first + count):
        name, content = make_input(files, seed, number)
        path.write_bytes(content)
        before, start = resident_bytes(), time.perf_counter()
        # Either ends the process.
        signal.setitimer(signal.ITIMER_PROF, HANG_S)
        signal.alarm(30 * HANG_S)
        outcome = judge(READERS[reader], path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        taken = resident_bytes() - before
        if taken > GROWTH_BYTES:
            outcome = f"took {taken / 1e6:.0f} MB"
        print(json.dumps([number, name, outcome, time.perf_counter() - start]), flush=True)


def judge(read, path):
    try:
        read(path)
    except (ValueError, OSError) as error:
        named = str(path) in str(error) or "data set " in str(error)
        return "refused" if named else f"unnamed: {error!r}"
    except Exception as error:
        return f"raised {error!r}"
    return "read"


def resident_bytes():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# -- the run --------------------------------------------------------------------------------------


def fuzz(reader, seed, first, count, kept):
    """Read `count` inputs in a process that may die; return Counter of outcomes, and failures."""
    outcomes, failures, slowest = Counter(), [], 0.0
    done = first
    files = None
    with tempfile.TemporaryDirectory() as folder:
        while done < first + count:
            process = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "tests.fuzz",
                    "--work",
                    reader,
                    str(seed),
                    str(done),
                    str(first + count - done),
                    folder,
                ],
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
            for line in process.stdout.splitlines():
                if not line.startswith("["):  # a C library talks
                    continue
                number, name, outcome, seconds = json.loads(line)
                slowest, done = max(slowest, seconds), number + 1
                outcomes[outcome.split(":")[0].split("(")[0]] += 1
                if outcome not in ("read", "refused"):
                    failures.append((number, name, outcome))
            if process.returncode:
                if process.returncode > 0:
                    raise RuntimeError(process.stderr)
                number = signal.Signals(-process.returncode).name
                outcomes[number] += 1
                failures.append((done, "", f"ended by {number}\n{process.stderr[-2000:]}"))
                done += 1
        for number, _, outcome in failures:
            files = files or seeds(reader)
            name, content = make_input(files, seed, number)
            kept.mkdir(parents=True, exist_ok=True)
            (kept / f"{reader}-{seed}-{number}-{name}").write_bytes(content)
            print(f"{reader} {number} ({name}): {outcome}", file=sys.stderr)
    return outcomes, failures, slowest


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=120_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=READERS)
    parser.add_argument("--json", type=Path, default=Path("results/fuzz.json"))
    parser.add_argument("--work", nargs=5, help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    if args.work:
        reader, seed, first, count, folder = args.work
        return work(reader, int(seed), int(first), int(count), Path(folder))
    readers = [args.only] if args.only else list(READERS)
    report, failed, start = {}, 0, time.perf_counter()
    for reader in readers:
        begin, count = time.perf_counter(), args.inputs // len(readers)
        outcomes, failures, slowest = Counter(), [], 0.0
        for first in range(0, count, BATCH):
            some = fuzz(
                reader, args.seed, first, min(BATCH, count - first), args.json.parent / "fuzz"
            )
            outcomes += some[0]
            failures += some[1]
            slowest = max(slowest, some[2])
        seconds = time.perf_counter() - begin
        report[reader] = {
            "inputs": count,
            "seconds": seconds,
            "slowest_s": slowest,
            "outcomes": outcomes,
            "failures": failures,
        }
        failed += len(failures)
        print(
            f"{reader:9s} {count:7d} inputs, {count / seconds:6.0f} a second, slowest "
            f"{slowest:.1f} s: {dict(outcomes)}",
            flush=True,
        )
    print(
        f"{sum(row['inputs'] for row in report.values())} inputs in "
        f"{time.perf_counter() - start:.0f} s, {failed} failures"
    )
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=2))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
