"""download_models.sh against a server of our own: whole, half, wrong and missing files."""

import hashlib
import http.server
import io
import os
import shutil
import subprocess
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
import torch

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
SIZES = ("357387016", "2427560", "2419300", "33142560", "574712992", "553430176")


def torch_file(seed, legacy=False):
    """Bytes that torch.save wrote, about 40 kB."""
    torch.manual_seed(seed)
    file = io.BytesIO()
    weights = {"a": torch.randn(10_000)}
    torch.save(weights, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


GOOD, LEGACY = torch_file(1), torch_file(2, legacy=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; honours Range unless `server.ranges` is off; counts body bytes."""

    def do_GET(self):
        address = urlparse(self.path)
        name = parse_qs(address.query).get("id", [address.path.split("/")[-1]])[0]
        self.server.asked.append((self.path, self.headers.get("Range")))
        content = self.server.files.get(name)
        if content is None:
            return self.answer(404, b"not found")
        begin = 0
        if self.server.ranges and self.headers.get("Range"):
            begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if begin >= len(content):
                return self.answer(416, b"")
        part = content[begin:]
        self.answer(206 if begin else 200, part, len(content), begin)

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
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["curl", "wget"])
def tool(request):
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture
def download(server, tmp_path, tool):
    """Run the script, its smallest sizes lowered to our small files, with one tool only."""
    text = SCRIPT.read_text()
    for size in SIZES:
        assert size in text
        text = text.replace(size, "20000")
    for file in VGG:  # hashes of the files served here in place of the published ones
        digest = hashlib.sha256(GOOD).hexdigest()[:8]
        text = text.replace(f"  {file.split('-')[1].split('.')[0]}\n", f"  {digest}\n")
    script = tmp_path / "download_models.sh"
    script.write_text(text)
    programs = tmp_path / "bin"
    programs.mkdir()
    needed = ["bash", "dirname", "sed", "head", "tail", "od", "tr", "wc", "cut", "grep", "mv", "rm",
              "mkdir", "cat", "sha256sum", "shasum", "perl", "openssl", tool]
    for name in needed:
        if shutil.which(name):
            (programs / name).symlink_to(shutil.which(name))
    base = f"http://127.0.0.1:{server.server_address[1]}"
    environment = {
        "PATH": str(programs), "KBE_MODELS_DIR": str(tmp_path / "trained"),
        "KBE_PAPER_URL": base, "KBE_DRIVE_URL": base, "KBE_TORCH_URL": base,
    }

    def run(*names):
        return subprocess.run(["bash", str(script), *names], env=environment,
                              capture_output=True, text=True, timeout=60)

    run.folder = tmp_path / "trained"
    return run


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# -- what there is --


def test_the_list_holds_exactly_the_published_files():
    result = subprocess.run(["bash", str(SCRIPT), "--list"], capture_output=True, text=True)
    listed = {line.split()[0]: line.split()[2] for line in result.stdout.splitlines()}
    expected = {name: f"http://content.sniklaus.com/kenburns/{name}" for name in PAPER}
    expected |= {
        name: "https://drive.usercontent.google.com/download"
              f"?id={number}&export=download&confirm=t"
        for name, number in ORIGINAL.items()
    }
    expected |= {name: f"https://download.pytorch.org/models/{name}" for name in VGG}
    assert listed == expected
    assert result.returncode == 0


def test_help_says_how_to_call_it():
    result = subprocess.run(["bash", str(SCRIPT), "--help"], capture_output=True, text=True)
    assert "./download_models.sh --list" in result.stdout
    assert "set -u" not in result.stdout
    assert result.returncode == 0


def test_the_script_is_executable_and_parses():
    assert os.access(SCRIPT, os.X_OK)
    assert subprocess.run(["bash", "-n", str(SCRIPT)]).returncode == 0


def test_an_unknown_name_fetches_nothing(download, server):
    result = download("paper", "network-magic")
    assert result.returncode == 2
    assert "no file or set is called 'network-magic'" in result.stderr
    assert server.asked == []


@pytest.mark.parametrize(("names", "expected"), [
    ((), [*PAPER, VGG[0]]),
    (("paper",), PAPER),
    (("original",), list(ORIGINAL)),
    (("vgg",), VGG),
    (("all",), [*PAPER, *ORIGINAL, *VGG]),
    (("network-refinement", "inpainting-color.tar"), [PAPER[1], "inpainting-color.tar"]),
    (("vgg19_bn", "vgg"), VGG),
])
def test_names_choose_what_is_fetched(names, expected, download, server):
    server.files = dict.fromkeys([*PAPER, *ORIGINAL.values(), *VGG], GOOD)
    result = download(*names)
    assert result.returncode == 0, result.stderr
    assert files(download.folder) == dict.fromkeys(expected, GOOD)


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


def test_an_interrupted_download_resumes(download, server):
    server.files, server.cut = {PAPER[0]: GOOD}, 25_000
    first = download("network-disparity")
    if first.returncode:  # wget tries again by itself
        assert "run this again to continue" in first.stderr
        assert files(download.folder) == {PAPER[0] + ".part": GOOD[:25_000]}
    server.cut = None
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


@pytest.mark.parametrize(("content", "match"), [
    (HTML, "a web page arrived"),
    (GOOD[:10_000], "it is too short: 10000 bytes, at least 20000 expected"),
    (GOOD[:30_000], "its end is missing"),
    (b"", "nothing arrived"),
    (b"\x1f\x8b\x08\x00" + GOOD, "begins with the bytes 1f8b0800"),
    (None, "the download failed"),
])
def test_a_wrong_file_is_never_kept(content, match, download, server):
    server.files = dict.fromkeys(PAPER, GOOD)
    server.files[PAPER[0]] = content
    result = download("paper")
    assert result.returncode == 1
    assert match in result.stderr
    assert f"not fetched: {PAPER[0]}\n" in result.stderr
    kept = files(download.folder)
    assert kept.pop(PAPER[0] + ".part", b"") == b""  # wget opens its file before it asks
    assert kept == {PAPER[1]: GOOD, PAPER[2]: GOOD}


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
