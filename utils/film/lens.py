"""The lens of a photo: its focal length in pixels, where the file tells it."""

import math
from typing import Any

from utils.film.parts import Parts, read_jpeg_xmp

# EXIF 2.3, of the Exif directory.
FOCAL_MM, FOCAL_35_MM = 0x920A, 0xA405
FOCAL_PLANE_X, FOCAL_PLANE_UNIT = 0xA20E, 0xA210
MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
EXIF_WIDTH, EXIF_HEIGHT = 0xA002, 0xA003
DIAGONAL_35_MM = math.hypot(36, 24)  # "35 mm equivalent" compares diagonals (CIPA DCG-001)
# Shares of the photo's long side: a fisheye's, and the longest telephoto's; others are mistakes.
LEAST_SHARE, MOST_SHARE = 0.2, 60.0
SAME_SHAPE = 0.02  # sides that differ by no more are those of the picture that EXIF is about


def find_focal(parts: Parts, size: tuple[int, int]) -> tuple[float, str] | None:
    """Find the focal length of a photo.

    Args:
        parts: of its file.
        size: (height, width) px, upright or as stored.
    Returns:
        focal length in px of the photo, and what says so; None where nothing does.
    """
    long_side = max(size)
    for find, said in (
        (_heif, "the file's intrinsics"),
        (_apple, "the depth map's intrinsics"),
        (_google, "the photo's XMP"),
        (_exif_35_mm, "EXIF, 35 mm equivalent"),
        (_exif_sensor, "EXIF, lens and sensor"),
    ):
        share = find(parts, size)
        if share is not None and LEAST_SHARE <= share <= MOST_SHARE:
            return share * long_side, said
    return None


def _heif(parts, size):
    if parts.heif is None:
        return None
    matrix = parts.heif.info.get("heif", {}).get("camera_intrinsic_matrix")
    return matrix and matrix["focal_length_x"] / max(parts.heif.size)


def _apple(parts, size):
    """What Apple's second pictures say of the photo's lens."""
    for _, picture in parts.pictures[1:]:
        xmp, _ = read_jpeg_xmp(picture)
        numbers = (
            [_number(text) for text in xmp.sequence("depthData", "IntrinsicMatrix")] if xmp else []
        )
        if len(numbers) == 9:
            sides = [
                xmp.number("depthData", f"IntrinsicMatrixReference{side}") or 0
                for side in ("Width", "Height")
            ]
            return numbers[0] / max(sides) if max(sides) > 0 else None
    return None


def _google(parts, size):
    """What Dynamic Depth says: in pixels of the picture that it names."""
    if parts.xmp is None:
        return None
    width = parts.xmp.number("imagingmodel", "ImageWidth") or 0
    height = parts.xmp.number("imagingmodel", "ImageHeight") or 0
    focal = parts.xmp.number("imagingmodel", "FocalLengthX")
    return focal / max(width, height) if focal and max(width, height) > 0 else None


def _exif_35_mm(parts, size):
    focal = _number(parts.exif.get(FOCAL_35_MM))
    if focal <= 0 or _is_cropped(parts.exif, size):
        return None
    return focal / DIAGONAL_35_MM * math.hypot(*size) / max(size)


def _exif_sensor(parts, size):
    """From the focal length in mm and the sensor's pixels per unit of length."""
    exif = parts.exif
    focal, density = _number(exif.get(FOCAL_MM)), _number(exif.get(FOCAL_PLANE_X))
    sides = [_number(exif.get(tag)) for tag in (EXIF_WIDTH, EXIF_HEIGHT)]
    unit = MM_PER_UNIT.get(exif.get(FOCAL_PLANE_UNIT, 2))
    if min(focal, density, *sides) <= 0 or not unit or _is_cropped(exif, size):
        return None
    return focal * density / unit / max(sides)


def _is_cropped(exif, size):
    """Whether EXIF tells of a picture of another shape."""
    sides = sorted(_number(exif.get(tag)) for tag in (EXIF_WIDTH, EXIF_HEIGHT))
    if sides[0] <= 0:
        return False
    ratio = sides[1] / sides[0] * min(size) / max(size)
    return abs(ratio - 1) > SAME_SHAPE


def _number(value: Any) -> float:
    """A number of EXIF or XMP; 0 where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0
