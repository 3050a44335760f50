"""Downloads from a server of our own: whole, half, wrong and missing files."""

import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
import torch
from safetensors.torch import save
from waiting import PATIENCE

from utils.weights import download as downloads
from utils.weights.chosen import find_weights

SCRIPT = Path(__file__).resolve().parents[2] / "download_models.sh"
HTML = b"<!DOCTYPE html><html><body>Quota exceeded</body></html>" * 2000
PAPER = ["network-disparity.pytorch", "network-refinement.pytorch", "network-inpainting.pytorch"]
ORIGINAL = {  # name -> Google Drive id, as issue 2 gives them
    "disparity-estimation-no-mask.tar": "1qlzhkfC58zsnEPZdQDukHEBIEKJB-6Mc",
    "disparity-estimation-mask.tar": "13Y6-hdM8MEDBRmv0owwjtYScBiu5aOw3",
    "disparity-refinement.tar": "1pnkRqUKS2T4QZ161RCToykeK0Z3BL271",
    "inpainting-color.tar": "1OV46pzDl29fft13ZNJEvkAC6AjU3fvyc",
    "inpainting-depth.tar": "1s8lPOMVK4eTb5gA5_huBmbUMAeOBG-CA",
    "inpainting-pretrained.tar": "1185R-YeKRyBulMQmW-91sfx5-y8ShloW",
}
VGG = ["vgg19_bn-c79401a0.pth", "vgg16-397923af.pth"]
HUB = ["model.safetensors", "preprocessor_config.json", "config.json"]
HUB_PATH = "/depth-anything/Depth-Anything-V2-Small-hf/resolve/main/"


def torch_file(seed, legacy=False):
    """Bytes that torch.save wrote, about 40 kB."""
    torch.manual_seed(seed)
    file = io.BytesIO()
    weights = {"a": torch.randn(10_000)}
    torch.save(weights, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


GOOD, LEGACY = torch_file(1), torch_file(2, legacy=True)
SAFE = save({"a": torch.arange(10_000.0)})
CHECKPOINT = {
    "model.safetensors": SAFE,
    "preprocessor_config.json": b"{}",
    "config.json": b'{"model_type": "depth_anything"}',
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; honours Range unless `server.ranges` is off; counts body bytes."""

    def do_GET(self):
        address = urlparse(self.path)
        name = parse_qs(address.query).get("id", [address.path.split("/")[-1]])[0]
        self.server.asked.append((self.path, self.headers.get("Range")))
        if self.server.patience is not None:
            self.server.patience -= 1
            if self.server.patience < 0:  # hangs up without a word
                self.close_connection = True
                return None
        content = self.server.files.get(name)
        if content is None:
            return self.answer(404, b"not found")
        begin = 0
        if self.server.ranges and self.headers.get("Range"):
            begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if begin >= len(content):
                return self.answer(416, b"")
        part = content[begin:]
        return self.answer(206 if begin else 200, part, len(content), begin)

    def do_HEAD(self):
        """As the hub: SHA-256 of large files, Git's hash of small ones; or no such question."""
        content = self.server.files.get(self.path.split("/")[-1])
        if content is None or not self.server.states_hashes:
            self.send_response(501 if content else 404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        stated = self.server.stated.get(self.path.split("/")[-1], content)
        git = hashlib.sha1(b"blob %d\0" % len(stated) + stated).hexdigest()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{git}"')
        if self.path.endswith(".safetensors"):
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(stated).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(stated)))
        return self.end_headers()

    def answer(self, code, body, total=0, begin=0):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        if code == 206:
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        self.end_headers()
        sent = body[: self.server.cut] if code in (200, 206) else body
        self.server.sent += len(sent)
        self.wfile.write(sent)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.ranges, server.asked, server.sent = {}, True, [], 0
    server.cut = None  # bytes after which an answer breaks off
    server.patience = None  # GETs that are answered at all
    server.states_hashes, server.stated = True, {}  # name -> content whose hash is stated
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class Result:
    """What a run said and returned."""

    def __init__(self, returncode, captured):
        self.returncode, self.stdout, self.stderr = returncode, captured.out, captured.err


@pytest.fixture
def download(server, tmp_path, monkeypatch, capsys):
    """Run the program with its smallest sizes lowered and its hashes set to our small files."""
    digest = hashlib.sha256(GOOD).hexdigest()[:8]
    monkeypatch.setattr(
        downloads,
        "FILES",
        [
            file._replace(smallest=min(file.smallest, 20_000), digest=file.digest and digest)
            for file in downloads.FILES
        ],
    )
    monkeypatch.setenv("KBE_MODELS_DIR", str(tmp_path / "trained"))
    for origin in downloads.SETS.values():
        monkeypatch.setenv(origin.variable, f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(downloads, "CHUNK", 5_000)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between two tries

    def run(*names):
        return Result(downloads.main(list(names)), capsys.readouterr())

    run.folder = tmp_path / "trained"
    return run


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# -- what there is --


def test_the_list_holds_exactly_the_published_files(capsys, monkeypatch):
    for origin in downloads.SETS.values():
        monkeypatch.delenv(origin.variable, raising=False)
    assert downloads.main(["--list"]) == 0
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines() if "://" in line]
    assert all(unit in ("MB", "kB") and float(size) > 0 for _, size, unit, _ in rows)
    expected = {name: f"http://content.sniklaus.com/kenburns/{name}" for name in PAPER}
    expected |= {
        name: f"https://drive.usercontent.google.com/download?id={number}&export=download&confirm=t"
        for name, number in ORIGINAL.items()
    }
    expected |= {name: f"https://download.pytorch.org/models/{name}" for name in VGG}
    expected |= {
        f"depth-anything/{name}": f"https://huggingface.co{HUB_PATH}{name}" for name in HUB
    }
    assert {name: where for name, *_, where in rows} == expected
    assert text.count("licence: ") == len(downloads.SETS)
    assert "licence: Apache-2.0" in text
    assert str(downloads.TRAINED) in text


@pytest.mark.skipif(shutil.which("bash") is None, reason="the door is a shell script")
def test_the_door_leads_to_the_program_from_any_folder(tmp_path):
    assert os.access(SCRIPT, os.X_OK)
    (tmp_path / "python").symlink_to(sys.executable)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for words, status, match in (
        (["--help"], 0, "./download_models.sh --list"),
        (["--list"], 0, "depth-anything/model.safetensors"),
        (["two words"], 2, "is called 'two words'"),
    ):
        result = subprocess.run(
            ["bash", str(SCRIPT), *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert result.returncode == status
        assert match in result.stdout + result.stderr


def test_neither_help_nor_list_loads_torch():
    script = (
        "import sys; from utils.weights import download as d; d.main(['--list']);"
        "sys.exit('torch' in sys.modules or 'huggingface_hub' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=SCRIPT.parent, check=True, timeout=PATIENCE)


def test_an_unknown_name_fetches_nothing(download, server):
    result = download("paper", "network-magic")
    assert result.returncode == 2
    assert "no file or set is called 'network-magic'" in result.stderr
    assert server.asked == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), [*PAPER, VGG[0]]),
        (("paper",), PAPER),
        (("original",), list(ORIGINAL)),
        (("vgg",), VGG),
        (("all",), [*PAPER, *ORIGINAL, *VGG, *(f"depth-anything/{name}" for name in HUB)]),
        (("depth-anything",), [f"depth-anything/{name}" for name in HUB]),
        (("network-refinement", "inpainting-color.tar"), [PAPER[1], "inpainting-color.tar"]),
        (("vgg19_bn", "vgg"), VGG),
    ],
)
def test_names_choose_what_is_fetched(names, expected, download, server):
    server.files = dict.fromkeys([*PAPER, *ORIGINAL.values(), *VGG], GOOD) | CHECKPOINT
    result = download(*names)
    assert result.returncode == 0, result.stderr
    assert files(download.folder) == {
        name: CHECKPOINT.get(name.split("/")[-1], GOOD) for name in expected
    }


# -- good days --


@pytest.mark.parametrize("content", [GOOD, LEGACY])
def test_a_whole_file_arrives_once(content, download, server):
    server.files = {PAPER[0]: content}
    assert download("network-disparity").returncode == 0
    assert files(download.folder) == {PAPER[0]: content}
    again = download("network-disparity")
    assert again.returncode == 0
    assert "already there" in again.stdout
    assert len(server.asked) == 1


def test_google_drive_is_asked_with_its_confirmation(download, server):
    server.files = {ORIGINAL["inpainting-color.tar"]: GOOD}
    assert download("inpainting-color").returncode == 0
    query = f"?id={ORIGINAL['inpainting-color.tar']}&export=download&confirm=t"
    assert server.asked[0][0] == "/download" + query
    assert files(download.folder) == {"inpainting-color.tar": GOOD}


def test_a_download_that_breaks_off_goes_on_by_itself(download, server):
    server.files, server.cut = {PAPER[0]: GOOD}, 25_000
    assert download("network-disparity").returncode == 0
    assert files(download.folder) == {PAPER[0]: GOOD}
    assert server.sent == len(GOOD)


def test_an_interrupted_download_resumes(download, server):
    server.files, server.cut, server.patience = {PAPER[0]: GOOD}, 25_000, 1
    first = download("network-disparity")
    assert first.returncode == 1
    assert "run this again to continue" in first.stderr
    assert files(download.folder) == {PAPER[0] + ".part": GOOD[:25_000]}
    server.patience = None
    assert download("network-disparity").returncode == 0
    assert files(download.folder) == {PAPER[0]: GOOD}
    assert server.sent == len(GOOD)


def test_a_part_found_on_disk_is_continued(download, server):
    server.files = {VGG[0]: GOOD}
    download.folder.mkdir()
    (download.folder / (VGG[0] + ".part")).write_bytes(GOOD[:30_000])
    assert download("vgg19_bn").returncode == 0
    assert files(download.folder) == {VGG[0]: GOOD}
    assert server.sent == len(GOOD) - 30_000


@pytest.mark.parametrize("part", [GOOD, GOOD + b"more", LEGACY[:25_000], HTML[:300]])
@pytest.mark.parametrize("ranges", [True, False])
def test_whatever_part_lies_there_the_file_ends_up_right(part, ranges, download, server):
    server.files, server.ranges = {VGG[0]: GOOD}, ranges
    download.folder.mkdir()
    (download.folder / (VGG[0] + ".part")).write_bytes(part)
    result = download("vgg19_bn")
    assert result.returncode == 0, result.stderr
    assert files(download.folder) == {VGG[0]: GOOD}


# -- bad days: nothing wrong stays, and the run goes on with the rest --


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (HTML, "a web page arrived"),
        (GOOD[:10_000], "it is too short: 10000 bytes, at least 20000 expected"),
        (GOOD[:30_000], "its end is missing"),
        (b"", "nothing arrived"),
        (b"\x1f\x8b\x08\x00" + GOOD, "begins with the bytes 1f8b0800"),
        (None, "the download failed"),
    ],
)
def test_a_wrong_file_is_never_kept(content, match, download, server):
    server.files = dict.fromkeys(PAPER, GOOD)
    server.files[PAPER[0]] = content
    result = download("paper")
    assert result.returncode == 1
    assert match in result.stderr
    assert f"not fetched: {PAPER[0]}\n" in result.stderr
    assert files(download.folder) == {PAPER[1]: GOOD, PAPER[2]: GOOD}


def test_a_page_of_google_drive_is_explained(download, server):
    server.files = {ORIGINAL["inpainting-depth.tar"]: HTML}
    result = download("inpainting-depth")
    assert result.returncode == 1
    assert "daily quota" in result.stderr
    assert files(download.folder) == {}


def test_a_wrong_hash_is_not_kept(download, server):
    server.files = {VGG[1]: torch_file(5)}
    result = download("vgg16")
    assert result.returncode == 1
    assert "its SHA-256 begins with" in result.stderr
    assert files(download.folder) == {}


@pytest.mark.parametrize("rubbish", [HTML, GOOD[:30_000]])
def test_a_broken_file_under_the_final_name_is_replaced(rubbish, download, server):
    server.files = {PAPER[0]: GOOD}
    download.folder.mkdir()
    (download.folder / PAPER[0]).write_bytes(rubbish)
    assert download("network-disparity").returncode == 0
    assert files(download.folder) == {PAPER[0]: GOOD}


def test_a_complete_part_is_not_fetched_again(download, server):
    server.files = {VGG[0]: GOOD}
    download.folder.mkdir()
    (download.folder / (VGG[0] + ".part")).write_bytes(GOOD)
    assert download("vgg19_bn").returncode == 0
    assert files(download.folder) == {VGG[0]: GOOD}
    assert server.sent == 0


def test_a_server_without_the_file_leaves_the_part_for_later(download, server):
    download.folder.mkdir()
    part = download.folder / (PAPER[0] + ".part")
    part.write_bytes(GOOD[:30_000])
    result = download("network-disparity")
    assert result.returncode == 1
    assert part.read_bytes() == GOOD[:30_000]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_said(download, server):
    server.files = {PAPER[0]: GOOD}
    download.folder.mkdir()
    (download.folder / (PAPER[0] + ".part")).symlink_to("/dev/full")
    result = download("network-disparity")
    assert result.returncode == 1
    assert "the disk is full" in result.stderr
    assert not (download.folder / PAPER[0]).exists()


def test_a_server_that_is_not_there_is_said(download, server, monkeypatch):
    monkeypatch.setenv("KBE_PAPER_URL", "http://127.0.0.1:9")
    result = download("network-disparity")
    assert result.returncode == 1
    assert "the download failed" in result.stderr
    assert files(download.folder) == {}


# -- Depth Anything from the hub --


def test_depth_anything_says_what_else_to_install_and_is_fetched_once(download, server):
    server.files = CHECKPOINT
    result = download("depth-anything")
    assert result.returncode == 0, result.stderr
    assert "pip install transformers" in result.stdout
    assert server.asked[0][0] == HUB_PATH + "model.safetensors"
    asked = len(server.asked)
    assert download("depth-anything").stdout.count("already there") == 3
    assert len(server.asked) == asked


@pytest.mark.parametrize("states_hashes", [True, False])
def test_half_a_checkpoint_is_continued_and_not_taken_before(states_hashes, download, server):
    server.files, server.states_hashes = CHECKPOINT, states_hashes
    server.cut, server.patience = 25_000, 1
    assert download("depth-anything").returncode == 1
    models = download.folder.parent
    assert find_weights("estimation", models=models) is None
    server.cut = server.patience = None
    assert download("depth-anything").returncode == 0
    assert server.sent == sum(map(len, CHECKPOINT.values()))
    assert find_weights("estimation", models=models) == download.folder / "depth-anything"


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("model.safetensors", HTML, "a web page arrived"),
        ("model.safetensors", SAFE[:-4], "its end is missing"),
        ("model.safetensors", SAFE + b"more", "its end is missing"),
        ("model.safetensors", b"\xff" * 40_000, "no safetensors file"),
        ("config.json", b'{"model_type": "bert"}', "the configuration of bert"),
        ("config.json", b"[]", "holds no settings"),
        ("preprocessor_config.json", b"{" * 99, "no JSON"),
        ("preprocessor_config.json", HTML, "a web page arrived"),
    ],
)
def test_wrong_parts_of_a_checkpoint_are_never_kept(name, content, match, download, server):
    server.files = CHECKPOINT | {name: content}
    result = download("depth-anything")
    assert result.returncode == 1
    assert match in result.stderr
    assert f"depth-anything/{name}" not in files(download.folder)
    assert "pip install" not in result.stdout
    assert find_weights("estimation", models=download.folder.parent) is None


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("model.safetensors", "its SHA-256 begins with"),
        ("config.json", "its hash is not what the server said"),
    ],
)
def test_what_the_hub_states_of_a_file_is_checked(name, match, download, server):
    original = CHECKPOINT[name]
    server.files = CHECKPOINT | {
        name: original.replace(b"\0\0\x80?", b"\0\0\0?", 1)
        if name.endswith("tensors")
        else original + b" "
    }
    server.stated = {name: original}
    if name.endswith(".json"):  # a small file's size is that of the answer itself
        assert len(server.files[name]) != len(original)
    result = download("depth-anything")
    assert result.returncode == 1
    assert match in result.stderr
    assert f"depth-anything/{name}" not in files(download.folder)


def test_a_downloaded_checkpoint_estimates_by_default(download, server, tmp_path, capsys):
    """From the hub's format to a film, with random weights of the smallest size."""
    transformers = pytest.importorskip("transformers")
    import kbe

    backbone = transformers.Dinov2Config(
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        out_indices=[1, 2],
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=12,
        reassemble_factors=[2, 1],
        neck_hidden_sizes=[4, 6],
        fusion_hidden_size=4,
        head_hidden_size=4,
    )
    made = tmp_path / "made"
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(made)
    (made / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "DPTImageProcessor",
                "size": {"height": 28, "width": 28},
                "ensure_multiple_of": 14,
                "keep_aspect_ratio": True,
                "do_resize": True,
            }
        )
    )
    server.files = {name: (made / name).read_bytes() for name in HUB}
    assert download("depth-anything").returncode == 0
    chosen = find_weights("estimation", models=download.folder.parent)
    (download.folder / "network-disparity.pytorch").write_bytes(GOOD)
    assert find_weights("estimation", models=download.folder.parent).is_file()  # own files first
    photo = SCRIPT.parent / "images" / "example.jpg"
    assert (
        kbe.main(
            [
                "--in",
                str(photo),
                "--out",
                str(tmp_path / "film"),
                "--estim-path",
                str(chosen),
                "--max-size",
                "96",
                "--duration",
                "0.2",
                "--json",
            ]
        )
        == 0
    )
    assert str(chosen) in capsys.readouterr().out
