"""Depth maps in photographs' own files: read from every family, turned, and never fatal."""

import logging
from pathlib import Path

import numpy as np
import pytest
from phone_files import (
    XMP,
    apple_jpeg,
    dynamic_depth_jpeg,
    encoded,
    gdepth_jpeg,
    heic,
    mpf_jpeg,
    orientation_exif,
    packet,
    segment,
    with_segments,
)

from utils.depth.embedded import heif_disparity
from utils.depth.own import find_own
from utils.film import read_image, read_parts
from utils.film.photos import upright

HEIGHT, WIDTH = 96, 128
# From 20 at the top left to 250 at the bottom right, so that no two of eight ways of turning agree.
GREY = (20 + 2.2 * np.mgrid[:48, :64][0] + 2 * np.mgrid[:48, :64][1]).round().astype(np.uint8)
PHOTO = np.dstack([np.mgrid[:HEIGHT, :WIDTH][0] * 2, np.mgrid[:HEIGHT, :WIDTH][1] * 2]
                  + [np.full((HEIGHT, WIDTH), 90)]).astype(np.uint8)  # fmt: skip


@pytest.fixture
def notes(monkeypatch):
    """What is logged, as records; whatever a run of kbe.py before has set up is left out."""
    records, log = [], logging.getLogger("kbe")
    handler = logging.Handler()
    handler.emit = records.append
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "level", logging.INFO)
    return records


def found(path, content):
    Path(path).write_bytes(content)
    return find_own(path, read_image(path), read_parts(path))


def correlation(one, other):
    return np.corrcoef(np.ravel(one), np.ravel(other))[0, 1]


@pytest.mark.parametrize("kind, sign", [("disparity", 1), ("depth", -1)])
def test_apples_second_picture(tmp_path, kind, sign):
    own = found(tmp_path / "a.jpg", apple_jpeg(PHOTO, GREY, kind, low=0.5, high=2.5))
    assert own.source == "photo" and own.disparity.shape == GREY.shape
    values = 0.5 + GREY / 127.5
    right = values if sign > 0 else 1 / values
    assert np.abs(own.disparity - right).max() < 0.06, "the range of the file's XMP"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpegs_map_turns_with_its_photo(tmp_path, orientation):
    exif = orientation_exif(orientation)
    for content in (apple_jpeg(PHOTO, GREY, exif=exif), gdepth_jpeg(PHOTO, 255 - GREY, exif=exif)):
        own = found(tmp_path / "a.jpg", content)
        turned = upright(GREY, orientation)
        assert own.disparity.shape == turned.shape
        assert correlation(own.disparity, turned) > 0.99


@pytest.mark.parametrize("order", ["<", ">"])
def test_mpf_of_both_byte_orders(tmp_path, order):
    (tmp_path / "a.jpg").write_bytes(apple_jpeg(PHOTO, GREY))
    _, (_, depth) = read_parts(tmp_path / "a.jpg").pictures
    assert found(tmp_path / "b.jpg", mpf_jpeg([encoded(PHOTO), depth], order=order)) is not None


@pytest.mark.parametrize("order", [1, -1])
def test_gdepth_whose_chunks_come_in_any_order(tmp_path, order):
    own = found(tmp_path / "a.jpg", gdepth_jpeg(PHOTO, GREY, order=order))
    share = GREY / 255.0
    right = (1 - share) / 2 + share / 60  # RangeInverse, 2 to 60
    np.testing.assert_allclose(own.disparity, right, rtol=1e-4)


def test_gdepth_with_depth_in_even_steps(tmp_path):
    said = 'GDepth:Format="RangeLinear" GDepth:Near="2" GDepth:Far="60"'
    own = found(tmp_path / "a.jpg", gdepth_jpeg(PHOTO, GREY, said))
    np.testing.assert_allclose(own.disparity, 1 / (2 + GREY / 255.0 * 58), rtol=1e-4)


def test_dynamic_depth_is_found_behind_another_item(tmp_path):
    own = found(tmp_path / "a.jpg", dynamic_depth_jpeg(PHOTO, GREY, near=1, far=5))
    assert np.abs(1 / own.disparity - (1 + GREY / 255.0 * 4)).max() < 0.1


def test_depth_image_of_a_written_heic(tmp_path):
    pytest.importorskip("pillow_heif")
    own = found(tmp_path / "a.heic", heic([PHOTO, GREY], depth_of_first=True))
    assert own.disparity.shape == GREY.shape and correlation(own.disparity, GREY) > 0.99


@pytest.mark.parametrize(
    "said, right",
    [
        ({"representation_type": 1, "d_min": 0.5, "d_max": 2.5}, lambda v: 0.5 + 2 * v),
        ({"representation_type": 1, "d_min": None, "d_max": None}, lambda v: v),
        ({"representation_type": 0, "z_near": 1.0, "z_far": 4.0}, lambda v: 0.25 + 0.75 * v),
        # The bottom is near: here large numbers are.
        ({"representation_type": 2, "z_near": 1.0, "z_far": 4.0}, lambda v: 1 / (4 - 3 * v)),
        ({"representation_type": 3}, lambda v: v),
        ({}, lambda v: v),
    ],
)
def test_what_heics_numbers_mean(said, right):
    shares = (GREY / 255).astype(np.float32)
    np.testing.assert_allclose(heif_disparity(shares, said), right(shares), rtol=1e-5)


def plain(tmp_path):
    return encoded(PHOTO)


def cut_mpf(tmp_path):
    return apple_jpeg(PHOTO, GREY)[:-400]


def cut_before_its_pixels(tmp_path):
    whole = apple_jpeg(PHOTO, GREY)
    return whole[: whole.rindex(b"\xff\xda")]


def bad_base64(tmp_path):
    content = gdepth_jpeg(PHOTO, GREY, chunk=60000)
    at = content.index(b"GDepth:Data=") + 60
    return content[:at] + b"!!!!" + content[at + 4 :]


def lost_chunk(tmp_path):
    content = gdepth_jpeg(PHOTO, GREY, chunk=400)
    at = content.index(b"http://ns.adobe.com/xmp/extension/")
    return content[: at + 5] + b"X" + content[at + 6 :]


def no_extension(tmp_path):
    said = 'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Format="RangeInverse"'
    return with_segments(encoded(PHOTO), segment(0xE1, XMP + packet(said)))


def bomb(tmp_path):
    text = b'<!DOCTYPE x [<!ENTITY a "depth">]><x>&a;</x>'
    return with_segments(encoded(PHOTO), segment(0xE1, XMP + text))


def constant(tmp_path):
    return apple_jpeg(PHOTO, np.full_like(GREY, 9))


def other_shape(tmp_path):
    return apple_jpeg(PHOTO, GREY[:20])


def container_too_long(tmp_path):
    return dynamic_depth_jpeg(PHOTO, GREY, claimed=9_999_999)


def huge(tmp_path):
    """A map that claims 60000x60000 px in a few bytes."""
    content = apple_jpeg(PHOTO, GREY)
    at = content.rindex(b"\xff\xc0") + 5
    return content[:at] + b"\xea\x60\xea\x60" + content[at + 4 :]


BROKEN = {
    cut_mpf: "truncated",
    cut_before_its_pixels: "",
    bad_base64: "text is damaged",
    lost_chunk: "incomplete",
    no_extension: "not there",
    bomb: "entities",
    constant: "same everywhere",
    other_shape: "another shape",
    container_too_long: "more than the file holds",
    huge: "60000x60000",
}


@pytest.mark.parametrize("damage", BROKEN, ids=lambda damage: damage.__name__)
def test_a_broken_map_is_said_and_counts_as_none(tmp_path, notes, damage):
    assert found(tmp_path / "a.jpg", damage(tmp_path)) is None
    (said,) = [record.getMessage() for record in notes]
    assert "its own depth map cannot be used" in said and BROKEN[damage] in said
    assert "\n" not in said


def test_a_plain_photo_has_none_and_nothing_is_said(tmp_path, notes):
    assert found(tmp_path / "a.jpg", encoded(PHOTO)) is None
    gain = with_segments(
        encoded(GREY),
        segment(
            0xE1,
            XMP + packet('xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'),
        ),
    )
    assert found(tmp_path / "b.jpg", mpf_jpeg([encoded(PHOTO), gain])) is None
    assert not notes
