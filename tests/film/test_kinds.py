"""Whole files with something behind them are whole; what is not supported is named, not damaged."""

import io
import os
import struct

import numpy as np
import pytest
from PIL import Image

from utils.film.kinds import describe
from utils.film.photos import read_image


def picture():
    return Image.effect_mandelbrot((160, 120), (-2, -1.5, 1, 1.5), 60).convert("RGB")


def encoded(kind, **options):
    buffer = io.BytesIO()
    picture().save(buffer, kind, **options)
    return buffer.getvalue()


def error_of(path):
    with pytest.raises(ValueError) as caught:
        read_image(path)
    return str(caught.value)


FILM = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + os.urandom(3000).replace(b"\xff\xd9", b"..")
BEHIND = {
    "motion photo": FILM,
    "free box": FILM + b"\0\0\x10\0free" + bytes(4088),
    "silence": FILM + bytes(64),
    "maker": b"MAKERDATA" * 10 + bytes(200),
    "padding": bytes(4096),
    "zip": b"PK\5\6" + bytes(18),
    "newline": b"\r\n--boundary--\r\n",
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_rows": 2}),
        ("PNG", {}),
    ],
)
def test_what_lies_behind_a_whole_picture_does_not_matter(tmp_path, kind, options, behind):
    path = tmp_path / "a"
    path.write_bytes(encoded(kind, **options))
    expected = read_image(path).pixels
    path.write_bytes(encoded(kind, **options) + BEHIND[behind])
    np.testing.assert_array_equal(read_image(path).pixels, expected)


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_zeros_instead_of_the_end_are_damage_also_with_a_thumbnail_inside(tmp_path, kind, share):
    exif = Image.Exif()
    exif[0x010E] = "x"
    data = encoded(kind, exif=exif.tobytes() + encoded("JPEG")[:5000] + b"\xff\xd9")
    end = len(data) - int((1 - share) * len(encoded(kind)))
    (tmp_path / "a").write_bytes(data[:end] + bytes(len(data) - end + 100))
    assert "all zeros, as an interrupted copy" in error_of(tmp_path / "a")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"RIFF\x10\0\0\0AVI LIST" + bytes(50), "an AVI film"),
        (b"RIFF\x10\0\0\0WAVEfmt " + bytes(50), "sound (WAV)"),
        (b"8BPS\0\1" + bytes(50), "a Photoshop document"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(50), "a Windows Media film"),
        (b"\0\0\1\xba" + bytes(50), "an MPEG film"),
        (b"\0\0\0\x18ftypcrx " + bytes(50), "a camera's raw file"),
        ("Grüße aus Köln, lieber Freund\n".encode() * 3, "text"),
        ("Gruß".encode("utf-16"), "text"),
        (b"gimp xcf v011" + bytes(30), "a GIMP document"),
    ],
)
def test_what_is_not_supported_is_named_not_called_damaged(tmp_path, content, found):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    message = error_of(path)
    assert found in message and "damaged" not in message and str(path) in message


def test_text_whose_last_letter_is_cut_is_text():
    assert describe("ä".encode() * 31 + b"a" + "ä".encode()[:1]) == "text"
    assert describe(b"\x80abc" * 9).startswith("of an unknown kind")


@pytest.mark.parametrize(
    ("marker", "precision", "found"),
    [(0xC1, 12, "12 bits a channel"), (0xC3, 8, "lossless"), (0xC7, 8, "hierarchical")],
)
def test_a_jpeg_of_a_rare_kind_is_named(tmp_path, marker, precision, found):
    frame = struct.pack(">BHHB", precision, 120, 160, 1) + b"\1\x11\0"
    data = b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", len(frame) + 2) + frame
    (tmp_path / "a.jpg").write_bytes(data + b"\xff\xd9")
    message = error_of(tmp_path / "a.jpg")
    assert f"a JPEG of a rare kind ({found})" in message and "damaged" not in message


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_that_hides_everything_is_no_mask(tmp_path, mode):
    image = picture().convert(mode)
    image.putalpha(0)
    image.save(tmp_path / "a.png")
    photo = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.pixels, np.asarray(picture()))
    assert photo.notes == ("left out an alpha channel that hides everything",)
