"""Files made to do harm, through the whole command line: each is refused or survived, in words."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from films import probe
from PIL import Image

import kbe
from utils.film.photos import write_image

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["--duration", "0.24"]  # six frames


def run(*arguments):
    try:
        return kbe.main([str(a) for a in arguments])
    except SystemExit as exit_:  # argparse
        return exit_.code


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "photo.png", picture(48, 64))
    return tmp_path / "photo.png"


def picture(height, width):
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 3 % 256, columns * 3 % 256, (rows + columns) % 256]).astype(np.uint8)


# -- sizes ----------------------------------------------------------------------------------------


def encoded(kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(picture(32, 32)).save(buffer, kind, **options)
    return bytearray(buffer.getvalue())


def claiming(kind, side):
    """Return a small file that claims to be a square of this side."""
    if kind == "PNG":
        data = encoded("PNG")
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "TIFF":
        data = encoded("TIFF")
        for tag in (256, 257, 278):  # width, height, rows per strip
            where = data.index(struct.pack("<H", tag), 8)
            data[where + 2 : where + 12] = struct.pack("<HII", 4, 1, side)
    elif kind == "BMP":
        data = encoded("BMP")
        data[18:26] = struct.pack("<ii", side, side)
    elif kind == "GIF":
        data = encoded("GIF")
        data[6:10] = struct.pack("<HH", min(side, 65535), min(side, 65535))
    elif kind == "JPEG":
        data = encoded("JPEG")
        where = data.index(b"\xff\xc0") + 5
        data[where : where + 4] = struct.pack(">HH", min(side, 65500), min(side, 65500))
    elif kind == "JPEG2000":
        data = encoded("JPEG2000")
        where = data.index(b"ihdr") + 4
        data[where : where + 8] = struct.pack(">II", side, side)
        where = data.index(b"\xff\x51") + 6
        data[where : where + 8] = struct.pack(">II", side, side)
    elif kind == "WEBP":  # an extended header; 24 bits a side
        still = encoded("WEBP", lossless=True)[12:]
        header = b"VP8X" + struct.pack("<I", 10) + bytes(4)
        header += struct.pack("<I", side - 1)[:3] * 2
        data = b"RIFF" + struct.pack("<I", 4 + len(header) + len(still)) + b"WEBP" + header + still
    else:
        data = b"P6 %d %d 255\n" % (side, side) + bytes(100)
    return bytes(data)


@pytest.mark.parametrize("as_depth", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF", "JPEG", "JPEG2000", "WEBP", "PPM"])
def test_a_small_file_of_huge_size_is_refused_in_little_memory(
    photo, tmp_path, capsys, kind, as_depth
):
    resource = pytest.importorskip("resource", reason="this system counts no memory")
    bomb = tmp_path / "bomb"
    bomb.write_bytes(claiming(kind, 60_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    given = ["--in", photo, "--depth", bomb] if as_depth else ["--in", bomb, "--2d"]
    assert run(*given, "--out", tmp_path / "o") == 1
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 300, f"{kind} took {grown_mb:.0f} MB"
    err = capsys.readouterr().err
    assert str(bomb) in err and "Traceback" not in err
    assert "at most 400" in err or "damaged" in err
    assert not list(tmp_path.rglob("*.mp4"))


@pytest.mark.parametrize("size", [(1, 100_000), (100_000, 1), (15, 30_000)])
def test_a_line_is_no_photo(tmp_path, capsys, size):
    write_image(tmp_path / "line.png", np.zeros((*size, 3), np.uint8))
    assert run("--in", tmp_path / "line.png", "--out", tmp_path / "o", "--2d") == 1
    assert f"is {size[1]}x{size[0]} px" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "flags"),
    [((16, 40_000), ["--2d"]), ((40_000, 16), ["--depth", "map.npy"]), ((16, 40_000), [])],
)
def test_a_strip_becomes_a_film(tmp_path, monkeypatch, size, flags):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "strip.png", picture(*size))
    np.save("map.npy", np.linspace(1, 2, 10_000, dtype=np.float32).reshape(5000, 2))
    assert run("--in", "strip.png", "--out", "o", *flags, *SHORT) == 0
    assert max(probe("o/3d_kbe.mp4").size) == 1920


@pytest.mark.parametrize("size", [(1, 100_000), (100_000, 1)])
def test_a_depth_map_of_a_line_is_of_another_shape(photo, tmp_path, capsys, size):
    np.save(tmp_path / "map.npy", np.linspace(1, 2, size[0] * size[1]).reshape(size))
    assert run("--in", photo, "--out", tmp_path / "o", "--depth", tmp_path / "map.npy", *SHORT) == 1
    assert f"map.npy: is {size[1]}x{size[0]}, and the photo is" in capsys.readouterr().err


def test_a_depth_map_of_one_pixel_is_stretched(photo, tmp_path):
    np.save(tmp_path / "map.npy", np.ones((1, 1)))
    assert run("--in", photo, "--out", tmp_path / "o", "--depth", tmp_path / "map.npy", *SHORT) == 0
    assert probe(tmp_path / "o" / "3d_kbe.mp4").frames == 6


# -- numbers --------------------------------------------------------------------------------------

STRANGE = {
    "nan": np.full((48, 64), np.nan),
    "infinite": np.full((48, 64), np.inf),
    "minus infinite": np.full((48, 64), -np.inf),
    "zero": np.zeros((48, 64)),
    "constant": np.full((48, 64), 7.0),
    "negative": np.full((48, 64), -7.0),
    "huge": np.full((48, 64), 1e300),
    "tiny": np.full((48, 64), 1e-300),
    "one known": np.where(np.arange(48 * 64).reshape(48, 64) == 99, 1.0, np.nan),
    "both infinities": np.where(np.arange(64) < 32, np.inf, -np.inf) * np.ones((48, 1)),
    "both huge": np.where(np.arange(64) < 32, 3e38, -3e38) * np.ones((48, 1)),
    "one near": np.where(np.arange(48 * 64).reshape(48, 64) == 99, 1e30, 1.0),
    "checks": np.indices((48, 64)).sum(0) % 2 * 1e6,
}


@pytest.mark.parametrize("kind", ["depth", "disparity"])
@pytest.mark.parametrize("name", STRANGE)
def test_strange_numbers_give_a_film_or_one_clear_error(photo, tmp_path, capsys, name, kind):
    path = tmp_path / "map.npy"
    np.save(path, STRANGE[name])
    status = run(
        "--in",
        photo,
        "--out",
        tmp_path / "o",
        "--depth",
        path,
        "--depth-kind",
        kind,
        "--preview",
        "--save-disparity",
        *SHORT,
    )
    err = capsys.readouterr().err
    assert "Traceback" not in err and "Warning" not in err
    if status == 0:
        assert probe(tmp_path / "o" / "3d_kbe.mp4").frames == 6
        assert np.isfinite(np.load(tmp_path / "o" / "disparity.npy")).all()
    else:
        assert status == 1 and str(path) in err
        assert name in (
            "nan",
            "infinite",
            "minus infinite",
            "both infinities",
            "huge",
            "zero",
            "negative",
            "tiny",
        )


@pytest.mark.parametrize("name", ["ones", "zero"])
def test_a_map_without_depth_is_told(photo, tmp_path, capsys, name):
    path = tmp_path / "map.npy"
    np.save(path, STRANGE.get(name, np.ones((48, 64))))
    assert run("--in", photo, "--out", tmp_path / "o", "--depth", path, *SHORT) == 0
    assert f"{path}: all of it is equally far, so the film is flat" in capsys.readouterr().err


# -- code -----------------------------------------------------------------------------------------


class Evil:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["map.npy", "map.npz", "map.pkl", "map.png", "map"])
def test_a_depth_map_that_holds_code_does_not_run(photo, tmp_path, capsys, name):
    trap, path = tmp_path / "was_here", tmp_path / name
    if name.endswith(("npy", "npz")):
        with open(path, "wb") as file:
            save = np.savez if name.endswith("npz") else np.save
            save(file, np.array([Evil(trap)], object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Evil(trap)))
    assert run("--in", photo, "--out", tmp_path / "o", "--depth", path) == 1
    assert not trap.exists() and str(path) in capsys.readouterr().err


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "dill"])
@pytest.mark.parametrize(
    "flag", ["--estim-path", "--refine-path", "--inpaint-path", "--inpaint-depth"]
)
def test_weights_that_hold_code_do_not_run(photo, tmp_path, capsys, form, flag):
    import dill

    trap, path = tmp_path / "was_here", tmp_path / "weights.tar"
    if form in ("zip", "legacy"):
        torch.save(
            {"model_state_dict": Evil(trap)}, path, _use_new_zipfile_serialization=form == "zip"
        )
    else:
        path.write_bytes((dill if form == "dill" else pickle).dumps(Evil(trap)))
    np.save(tmp_path / "map.npy", np.ones((4, 4)))
    given = [] if flag in ("--estim-path", "--refine-path") else ["--depth", tmp_path / "map.npy"]
    assert run("--in", photo, "--out", tmp_path / "o", *given, flag, path, *SHORT) == 1
    err = capsys.readouterr().err
    assert not trap.exists() and str(path) in err and "Traceback" not in err


def test_a_hugging_face_folder_that_holds_code_does_not_run(photo, tmp_path, capsys):
    pytest.importorskip("transformers")
    trap, folder = tmp_path / "was_here", tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "depth_anything",
                "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForDepthEstimation": "evil.Evil"},
            }
        )
    )
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "DPTImageProcessor",
                "auto_map": {"AutoImageProcessor": "evil.Evil"},
            }
        )
    )
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(trap)!r})\n")
    torch.save({"weights": Evil(trap)}, folder / "pytorch_model.bin")
    assert run("--in", photo, "--out", tmp_path / "o", "--estim-path", folder) == 1
    err = capsys.readouterr().err
    assert not trap.exists() and str(folder) in err and "Traceback" not in err


# -- names ----------------------------------------------------------------------------------------

NAMES = [
    b"new\nline",
    b"quote'\"`$(touch was_here)",
    b"-rf",
    b"caf\xe9",
    b" ",
    b"%s{0}\\",
    "\N{PILE OF POO}\u202egpj".encode(),
    b"x" * 200,
    b"3d_kbe.mp4",
    b"*?[a]",
    b"con",
    b"a;b&c|d",
    b"\x1b[31mred\x07",
]


@pytest.mark.parametrize("json_lines", [False, True])
def test_any_file_name_works_in_a_folder_and_on_standard_input(photo, tmp_path, json_lines):
    album = os.fsencode(tmp_path / "album")
    os.mkdir(album)
    for name in NAMES:
        with open(os.path.join(album, name + b".png"), "wb") as file:
            file.write(photo.read_bytes())
    listed = b"\n".join(b"album/" + name + b".png" for name in NAMES if b"\n" not in name)
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "kbe.py"),
            "--in",
            "album",
            "-",
            "--out",
            "o",
            "--2d",
            *SHORT,
            *(["--json"] if json_lines else []),
        ],
        cwd=tmp_path,
        capture_output=True,
        input=listed,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"Traceback" not in done.stderr
    made = {os.fsencode(path.parent.name) for path in (tmp_path / "o").glob("*/3d_kbe.mp4")}
    # Folders get names that every system takes.
    assert made == {{b"con": b"con_", b" ": b"photo"}.get(name, name) for name in NAMES}
    assert not (tmp_path / "was_here").exists()
    if json_lines:
        results = [json.loads(line) for line in done.stdout.splitlines()]
        assert {os.fsencode(Path(result["photo"]).stem) for result in results} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_works_by_itself(photo, tmp_path, monkeypatch, capfdbinary, name):
    """As photo, as depth map, as folder of the results and as the film."""
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(name)
    place = "./" if name.startswith("-") else ""
    Path(f"{name}.png").write_bytes(photo.read_bytes())
    np.save(f"{name}.npy", np.arange(12.0).reshape(3, 4))
    arguments = [
        "--in",
        f"{place}{name}.png",
        "--depth",
        f"{place}{name}.npy",
        *SHORT,
        "--preview",
        "--save-disparity",
        "--write-frames",
    ]
    assert run(*arguments, "--out", f"{place}{name} films") == 0
    assert probe(Path(f"{name} films") / "3d_kbe.mp4").frames == 6
    assert run(*arguments, "--out", f"{place}{name}.webm") == 0
    assert probe(f"{name}.webm").frames == 6
    assert not Path("was_here").exists()
    # Bytes that are no text must not stay in the report, which pytest-xdist sends as text.
    assert b"Traceback" not in b"".join(capfdbinary.readouterr())
