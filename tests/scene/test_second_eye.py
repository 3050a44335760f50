"""Stereo photos: depth matched from two eyes, and what only the second one saw."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from kbe_runs import run
from phone_files import encoded, heic, mpf_jpeg, orientation_exif

from models.pointcloud_inpainting import Inpaint
from utils.cli.command_line import parse_settings
from utils.cli.jobs import Job
from utils.cli.plan import plan_photo
from utils.cli.shared import Shared
from utils.depth import find_disparity
from utils.depth.eye_order import vote_of_network
from utils.depth.own import find_own, settle_order
from utils.depth.two_eyes import match_eyes, match_upright, upright_step
from utils.export.layers import scene_layers
from utils.film import read_image, read_parts
from utils.film.photos import read_stored, upright
from utils.scene import FarSide, Scene, lift

HEIGHT, WIDTH = 144, 192
FRONT, BACK = 18, 6  # disparity, px
BOX = slice(40, 110), slice(80, 130)  # of the front in the left picture
EYES = (0x020002, 0x020002)


@pytest.fixture(scope="module")
def eyes():
    """A textured card before a textured wall, seen by two eyes: (left, right) uint8."""
    rng = np.random.default_rng(3)

    def texture(height, width):
        noise = rng.normal(0, 1, (height, width, 3)).astype(np.float32)
        return cv2.GaussianBlur(noise, (0, 0), 1.2) * 110 + 128

    wall, card = texture(HEIGHT, WIDTH + 40), texture(70, 50) * 0.5 + (90, 20, 20)
    pictures = []
    for eye in (0, 1):
        picture = wall[:, 20 + eye * BACK : 20 + eye * BACK + WIDTH].copy()
        columns = slice(BOX[1].start - eye * FRONT, BOX[1].stop - eye * FRONT)
        picture[BOX[0], columns] = card
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return pictures


def truth():
    disparity = np.full((HEIGHT, WIDTH), BACK, np.float32)
    disparity[BOX] = FRONT
    return disparity


def agrees(matched, sign=1):
    known = np.isfinite(matched.disparity)
    off = np.abs(sign * matched.disparity - truth())[known]
    return known.mean() > 0.7 and np.median(off) < 0.5 and (off > 2).mean() < 0.05


def test_disparity_is_that_of_the_scene(eyes):
    matched = match_eyes(*eyes)
    assert agrees(matched)
    # Left of the card the left eye sees a strip that the right one does not: unknown.
    strip = matched.disparity[50:100, BOX[1].start - 9 : BOX[1].start - 3]
    assert np.isnan(strip).mean() > 0.6


def test_eyes_that_are_not_level_are_levelled(eyes):
    left, right = eyes
    turn = np.float32([[1, 0, 0], [0.01, 1, 4]])
    right = cv2.warpAffine(right, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    assert agrees(match_eyes(left, right))


def test_the_right_eyes_photo_counts_the_other_way(eyes):
    left, right = eyes
    matched = match_eyes(right, left, first_is_left=False)
    low, high = np.nanpercentile(matched.disparity, (5, 95))
    assert low == pytest.approx(BACK, abs=1) and high == pytest.approx(FRONT, abs=1)


def test_pictures_of_two_things_are_refused(eyes):
    other = np.random.default_rng(8).integers(0, 255, eyes[0].shape).astype(np.uint8)
    with pytest.raises(ValueError, match="two eyes"):
        match_eyes(eyes[0], cv2.GaussianBlur(other, (0, 0), 2))
    with pytest.raises(ValueError, match="hardly differ"):
        match_eyes(eyes[0], eyes[0])
    with pytest.raises(ValueError, match="too little"):
        match_eyes(np.zeros_like(eyes[0]), np.zeros_like(eyes[0]))


@pytest.mark.parametrize("kind", ["mpo", "heic", "heic of the right eye"])
def test_both_kinds_of_file_are_read(eyes, tmp_path, kind):
    left, right = eyes
    path = tmp_path / f"a.{kind[:4]}"
    if kind == "mpo":
        path.write_bytes(mpf_jpeg([encoded(left), encoded(right)], EYES))
    else:
        pytest.importorskip("pillow_heif")
        path.write_bytes(heic([left, right], pair=True, primary=len(kind) > 4))
    own = find_own(path, read_image(path), read_parts(path))
    assert own.source == "stereo" and own.eyes is not None
    middle = np.nanmedian(own.disparity[60:90, 70:110])
    assert middle == pytest.approx(FRONT, abs=1)
    assert np.nanmedian(own.disparity[:, -30:]) == pytest.approx(BACK, abs=1)


def found(path, content):
    path.write_bytes(content)
    return find_own(path, read_image(path), read_parts(path))


@pytest.mark.parametrize("cross_eyed", [False, True])
@pytest.mark.parametrize("inwards", [0, 12])
def test_eyes_in_the_wrong_order_are_swapped(eyes, cross_eyed, inwards):
    """Where cameras look inwards, the sign of disparity tells nothing."""
    left, right = eyes[0][:, : WIDTH - inwards], eyes[1][:, : WIDTH - inwards]
    if inwards:
        right = np.pad(right, ((0, 0), (inwards, 0), (0, 0)), mode="edge")[:, : WIDTH - inwards]
    pair = (right, left) if cross_eyed else (left, right)
    matched = match_eyes(*pair)
    assert matched.vote < 0 if cross_eyed else matched.vote > 0
    matched = matched.swapped() if cross_eyed else matched
    low, high = np.nanpercentile(matched.disparity, (5, 95))
    assert high - low == pytest.approx(FRONT - BACK, abs=1)
    assert low == pytest.approx(BACK - inwards, abs=1), "the card is in front"


@pytest.mark.parametrize("name", "art books cones dolls laundry moebius reindeer teddy".split())
def test_photographed_pairs_are_right_in_both_orders(data, tmp_path, name):
    folder = data("val/stereo") / name
    pair = [read_image(folder / f"{side}.png").pixels for side in ("left", "right")]
    for number, side in enumerate(("left", "right")):
        content = mpf_jpeg([encoded(pair[number]), encoded(pair[1 - number])], EYES)
        own = found(tmp_path / "a.mpo", content)
        right = read_stored(folder / f"disp_{side}.png") / 64
        known = np.isfinite(own.disparity) & (right > 0)
        assert np.corrcoef(own.disparity[known], right[known])[0, 1] > 0.9


def given(estimate):
    return lambda: torch.from_numpy(np.ascontiguousarray(estimate, np.float32))[None, None]


def test_the_network_settles_an_order_that_no_strip_tells(tmp_path, caplog):
    """A slope hides nothing."""
    noise = np.random.default_rng(0).normal(0, 1, (HEIGHT, WIDTH + 40, 3)).astype(np.float32)
    texture = (cv2.GaussianBlur(noise, (0, 0), 1.5) * 120 + 128).clip(0, 255).astype(np.uint8)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    slope = 4 + rows / 8
    left = texture[:, 20 : 20 + WIDTH]
    right = cv2.remap(texture, columns + 20 + slope, rows, cv2.INTER_LINEAR)
    path = tmp_path / "a.mpo"
    own = found(path, mpf_jpeg([encoded(left), encoded(right)], EYES))
    assert own.eyes.vote == 0
    assert settle_order(path, own, given(slope)) is own
    swapped = settle_order(path, own, given(-slope))
    np.testing.assert_array_equal(swapped.disparity, -own.disparity)
    assert settle_order(path, own, given(np.abs(rows - HEIGHT / 2))) is None
    assert "not clear" in caplog.text


def test_what_is_equally_far_has_no_order():
    """Two planes, as a network sees them and as it does not: ranks of equal values are equal."""
    assert vote_of_network(truth(), truth()) == pytest.approx(1)
    assert vote_of_network(truth(), -truth()) == pytest.approx(-1)


def test_two_witnesses_that_contradict_each_other_are_believed_neither(eyes, tmp_path):
    path = tmp_path / "a.mpo"
    own = found(path, mpf_jpeg([encoded(eyes[0]), encoded(eyes[1])], EYES))
    assert settle_order(path, own, given(truth())) is own
    assert settle_order(path, own, given(-truth())) is None


@pytest.mark.parametrize(
    "orientation, told", [(number, True) for number in range(1, 9)] + [(1, False), (6, False)]
)
def test_a_photo_that_is_held_upright_is_matched_as_its_eyes_stood(eyes, orientation, told):
    """Also where the file does not tell (any more) how it was turned."""
    stored = match_eyes(*eyes)
    turned = [upright(one, orientation) for one in eyes]
    matched = match_upright(*turned, True, orientation if told else 7 - orientation)
    if matched.vote < 0:
        matched = matched.swapped()
    right = upright(stored.disparity, orientation)
    both = np.isfinite(matched.disparity) & np.isfinite(right)
    assert both.mean() > 0.7
    assert np.abs(matched.disparity - right)[both].mean() < 0.3
    assert matched.second.pixels.shape == turned[0].shape
    # What the second eye has here, the first one has so many px over there.
    behind, hidden = matched.second.hidden()
    assert hidden.mean() == pytest.approx(stored.second.hidden()[1].mean(), abs=0.01)
    for x, y in ((20, 20), (matched.disparity.shape[1] - 20, 100)):
        steps = np.rint(behind[y, x] * np.array(matched.second.towards)).astype(int)
        there = matched.disparity[y + steps[1] - 3 : y + steps[1] + 4, x + steps[0]]
        assert np.nanmedian(there) == pytest.approx(behind[y, x], abs=1)


def lifted(path, content):
    """(plan, scene) of a photo, with the true scene as what a network would estimate."""
    path.write_bytes(content)
    settings = parse_settings(["--in", str(path), "--out", str(path.parent)])
    plan = plan_photo(Job(path, path.parent, path.with_suffix(".mp4"), ""), settings, Shared())
    estimate = torch.from_numpy(upright(truth(), plan.orientation))[None, None]
    networks = SimpleNamespace(refiner=None, estimator=lambda image: estimate)
    plan, disparity = find_disparity(plan, settings, networks)
    return plan, lift(plan, disparity, torch.device("cpu"))


def test_a_photo_whose_eyes_are_swapped_is_no_scene_inside_out(eyes, tmp_path, caplog):
    caplog.set_level("INFO", "kbe")
    shown = []
    for pair in (eyes, eyes[::-1]):
        plan, scene = lifted(tmp_path / "a.mpo", mpf_jpeg([encoded(one) for one in pair], EYES))
        assert plan.depth_source == "stereo"
        assert ("wrong order" in caplog.text) == (pair is not eyes)
        shift = 0 if pair is eyes else FRONT
        card = scene.disparity[0, 0, 60:90, BOX[1].start - shift + 8 : BOX[1].stop - shift - 8]
        assert card.median() > 1.5 * scene.disparity[0, 0, :, -30:].median()
        shown.append(scene.seen_points - scene.photo_points)
    assert min(shown) > 500, "of the second eye"


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_upright_stereo_photo_shows_what_the_second_eye_saw(eyes, tmp_path, orientation):
    """The same scene, turned: as many points of the second eye, at turned places."""
    scenes = []
    for number in (1, orientation):
        jpeg = encoded(eyes[0], exif=orientation_exif(number))
        path = tmp_path / f"{number}.mpo"
        plan, scene = lifted(path, mpf_jpeg([jpeg, encoded(eyes[1])], EYES))
        assert plan.depth_source == "stereo"
        points = np.asarray(torch.as_tensor(scene.cloud()[0]).cpu())
        scenes.append(points[..., scene.photo_points : scene.seen_points].reshape(3, -1))
    level, turned = scenes
    assert turned.shape[1] == pytest.approx(level.shape[1], rel=0.05)
    right, down = upright_step((1, 0), orientation), upright_step((0, 1), orientation)
    for axis in (0, 1):
        mean = right[axis] * level[0].mean() + down[axis] * level[1].mean()
        assert turned[axis].mean() == pytest.approx(mean, abs=0.02 * float(np.abs(level[:2]).max()))


@pytest.mark.parametrize("eye", [0, 1])
def test_a_photo_that_is_a_cut_of_what_one_eye_saw(eyes, tmp_path, eye):
    """A spatial photo's own picture lies outside of its stereo group: a cut, at another scale."""
    pytest.importorskip("pillow_heif")
    part = slice(20, 130), slice(30, 170)
    photo = cv2.resize(eyes[eye][part], None, fx=1.3, fy=1.3, interpolation=cv2.INTER_CUBIC)
    own = found(tmp_path / "a.heic", heic([*eyes, photo], pair=True, primary=2))
    assert own.source == "stereo"
    scale = own.disparity.shape[1] / 140
    shift = eye * FRONT  # of the card
    middle = own.disparity[round(45 * scale) : round(80 * scale)]
    middle = middle[:, round((60 - shift) * scale) : round((90 - shift) * scale)]
    assert np.nanmedian(middle) == pytest.approx(FRONT * scale, abs=1.5)
    assert np.nanmedian(own.disparity[:, -30:]) == pytest.approx(BACK * scale, abs=1.5)


def test_a_photo_of_something_else_than_its_stereo_group(eyes, tmp_path, caplog):
    pytest.importorskip("pillow_heif")
    other = np.random.default_rng(8).integers(0, 255, eyes[0].shape).astype(np.uint8)
    content = heic([*eyes, cv2.GaussianBlur(other, (0, 0), 2)], pair=True, primary=2)
    assert found(tmp_path / "a.heic", content) is None
    assert "shows something else" in caplog.text


def test_a_pair_that_cannot_be_matched_is_said(eyes, tmp_path, capsys):
    path = tmp_path / "a.mpo"
    path.write_bytes(mpf_jpeg([encoded(eyes[0]), encoded(eyes[0])], EYES))
    assert run("--in", path, "--out", tmp_path / "o", "--dry-run", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["depth_source"] == "network"
    assert "hardly differ" in said.err
    path.write_bytes(path.read_bytes()[:-2000])
    assert run("--in", path, "--out", tmp_path / "o", "--dry-run", "--json") == 0
    assert "cannot be used" in capsys.readouterr().err


def test_what_the_second_eye_saw_is_not_invented(eyes, tmp_path, capsys):
    """The camera goes to where the right eye stood: less of its pictures is invented."""
    left, right = eyes
    shown = {}
    for name, content in {
        "two": mpf_jpeg([encoded(left), encoded(right)], EYES),
        "one": encoded(left),
    }.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(content)
        depth = [] if name == "two" else ["--depth", tmp_path / "two" / "disparity.npy"]
        flags = [
            "--move",
            "right",
            "--loop",
            "none",
            "--duration",
            "0.2",
            "--json",
            "--strength",
            "2",
        ]
        command = ["--in", path, "--out", tmp_path / name, "--save-disparity", "--matte", *flags]
        assert run(*command, *depth) == 0
        shown[name] = json.loads(capsys.readouterr().out)
    assert shown["two"]["depth_source"] == "stereo" and shown["one"]["depth_source"] == "file"
    assert shown["two"]["invented"] < 0.7 * shown["one"]["invented"]


def test_a_mesh_shows_what_the_second_eye_saw_where_the_points_are(eyes, tmp_path):
    path = tmp_path / "a.mpo"
    for number in (1, 6):
        jpeg = encoded(eyes[0], exif=orientation_exif(number))
        _, scene = lifted(path, mpf_jpeg([jpeg, encoded(eyes[1])], EYES))
        grid = scene.seen_grid
        points = np.asarray(scene.cloud()[0])[:, scene.photo_points : scene.seen_points]
        rows, columns = np.divmod(np.asarray(grid.pixels), grid.size[1])
        lifted_ones = grid.lift(np.column_stack([columns, rows]), points[2])
        off = np.abs(lifted_ones.T - points).max(axis=0) * scene.focal_px / points[2]
        assert np.median(off) < 0.1 and np.percentile(off, 95) < 1, "px in the photo"
        layers = {layer.name: layer for layer in scene_layers(scene)}
        assert len(layers["second eye"].triangles) > len(grid.pixels)


def test_an_inpainting_network_leaves_what_the_second_eye_saw(eyes, tmp_path):
    class Painter(Inpaint):
        """Paints all that is hidden green, and before the wall."""

        def forward(self, image, disparity, mask, context=None, statistics=None):
            filled = super().forward(image, disparity, mask, context, statistics)
            far = torch.full_like(mask, 60.0)
            return filled._replace(image=torch.cat([0 * far, far / 60, 0 * far], 1), disparity=far)

    green = {}
    for name, content in {
        "two": mpf_jpeg([encoded(one) for one in eyes], EYES),
        "one": encoded(eyes[0]),
    }.items():
        _, scene = lifted(tmp_path / f"{name}.jpg", content)
        seen = np.array(scene.cloud()[1][: scene.seen_points])
        # To where the right eye stood: from there it saw the wall behind the card.
        shift = (-(scene.baseline * FRONT / 120), 0, 0)
        painted = scene.inpaint(Painter((8, 8), context_channels=4).eval(), shift)
        np.testing.assert_array_equal(scene.cloud()[1][: scene.seen_points], seen)
        frame, _ = scene.render(shift)
        is_green = (frame[..., 1] > 200) & (frame[..., 0] < 50)
        behind = is_green[BOX[0], BOX[1].start - FRONT : BOX[1].stop]
        green[name] = behind.mean(), painted
    assert green["one"][0] > 0.1
    # But for a rim of two px, whose colours are the front's, too.
    assert green["two"][0] < 0.25 * green["one"][0] and green["two"][1] < 0.5 * green["one"][1]


def test_seen_points_come_before_invented_ones(device):
    image = torch.rand(1, 3, 24, 32, device=device)
    disparity = torch.full((1, 1, 24, 32), 60.0, device=device)
    scene = Scene(image, disparity, 16, 120)
    point = torch.tensor([[0.0], [0.0], [90.0]])
    scene.add_seen(point, torch.tensor([[1, 2, 3]], dtype=torch.uint8), torch.ones(1))
    assert scene.seen_points == scene.photo_points + 1
    np.testing.assert_array_equal(
        np.asarray(torch.as_tensor(scene.cloud()[1]).cpu())[-1], [1, 2, 3]
    )
    scene.inpaint(FarSide(), (30.0, 0, 0))
    with pytest.raises(ValueError, match="before anything"):
        scene.add_seen(point, torch.tensor([[1, 2, 3]], dtype=torch.uint8), torch.ones(1))
