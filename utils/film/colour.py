"""Colour: which space a picture is in, decided in one place, and from there to 8-bit sRGB.

A file can say its space in several ways at once; `colour_space` heeds them in the order of their
standards. Littlecms converts (by imagecodecs, since Pillow's door to it takes 8 bits only, in which
the shadows of linear light are lost); what is brighter than a screen's white is tone-mapped.
"""

import functools
import io
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ImageCms

# Chromaticities (x, y) of red, green, blue and white by their number in ITU-T H.273.
D65 = (0.3127, 0.3290)
PRIMARIES = {
    1: ("BT.709", (0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65),
    4: ("BT.470 M", (0.670, 0.330), (0.210, 0.710), (0.140, 0.080), (0.310, 0.316)),
    5: ("BT.601 PAL", (0.640, 0.330), (0.290, 0.600), (0.150, 0.060), D65),
    6: ("BT.601 NTSC", (0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    7: ("SMPTE 240M", (0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    8: ("generic film", (0.681, 0.319), (0.243, 0.692), (0.145, 0.049), (0.310, 0.316)),
    9: ("BT.2020", (0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    11: ("DCI-P3", (0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ("Display P3", (0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
    22: ("EBU 3213", (0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}
# Exponents of the transfer functions (H.273) that are powers. All that is not here is shown with
# sRGB's curve: BT.709's (1, 6, 14, 15) is that of a camera, whose pictures screens show so.
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
HDR = {16: "PQ", 18: "HLG"}
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65)

SPACES = {b"GRAY": "GRAY", b"RGB ": "RGB", b"CMYK": "CMYK"}  # a profile's header -> our name
WHITE_NITS = 203  # of paper white in an HDR picture (ITU-R BT.2408)
HLG_PEAK_NITS, HLG_GAMMA = 1000, 1.2  # the reference screen of BT.2100
SAME = 2  # of 255; a profile that changes colours by no more is sRGB
BAND = 2**20  # pixels that are converted at once, in floating point


class Space(NamedTuple):
    """A colour space that is not sRGB."""

    name: str  # to tell the user
    profile: bytes = b""  # ICC, or:
    hdr: str = ""  # "PQ" or "HLG"
    primaries: tuple = ()  # of HDR: chromaticities of red, green, blue, white


def colour_space(
    *,
    cicp: tuple[int, int] | None = None,
    icc: bytes | None = None,
    nclx: tuple[int, int] | None = None,
    srgb: bool = False,
    gamma: float | None = None,
    chromaticity: tuple[float, ...] | None = None,
    adobe_rgb: bool = False,
) -> Space | None:
    """Decide which space a picture's numbers are in, from all that its file says of it.

    The first that is there decides: PNG's cICP; an ICC profile; HEIF's and AVIF's nclx; PNG's sRGB;
    PNG's gAMA and cHRM; EXIF's interoperability R03.

    Args:
        cicp, nclx: (primaries, transfer function) as numbers of ITU-T H.273.
        icc: a profile, perhaps a broken one.
        srgb: whether the file says sRGB.
        gamma: exponent from light to numbers, such as 0.45455.
        chromaticity: eight numbers: x, y of white, red, green, blue.
        adobe_rgb: whether EXIF says so.
    Returns:
        Space, or None for sRGB.
    """
    if cicp:
        return _space_by_number(*cicp)
    if icc:
        return Space(_profile_name(icc), icc)
    if nclx:
        return _space_by_number(*nclx)
    if srgb:
        return None
    if gamma or chromaticity:
        return _space_of_png(gamma, chromaticity)
    return Space("Adobe RGB", _matrix_profile(ADOBE_RGB, 2.2)) if adobe_rgb else None


def _space_by_number(primaries, transfer):
    name, *points = PRIMARIES.get(primaries, PRIMARIES[1])
    if transfer in HDR:
        return Space(f"{HDR[transfer]}, {name}", hdr=HDR[transfer], primaries=tuple(points))
    if transfer not in GAMMAS and points == list(PRIMARIES[1][1:]):
        return None
    return Space(name, _matrix_profile(tuple(points), GAMMAS.get(transfer)))


def _space_of_png(gamma, chromaticity):
    exponent = 1 / gamma if gamma and 0.1 < gamma < 10 else None
    if exponent and abs(exponent - 2.2) < 0.05:  # how sRGB is said to readers that know gAMA only
        exponent = None
    points = PRIMARIES[1][1:]
    if chromaticity and len(chromaticity) == 8:
        white, *colours = zip(chromaticity[::2], chromaticity[1::2], strict=True)
        given = (*colours, white)
        if np.abs(np.subtract(given, points)).max() > 0.003:  # else BT.709, differently rounded
            points = given
    if exponent is None and points == PRIMARIES[1][1:]:
        return None
    said = [f"gamma {exponent:.2g}"] if exponent else []
    said += ["its own primaries"] if points != PRIMARIES[1][1:] else []
    return Space(" and ".join(said), _matrix_profile(points, exponent))


def _matrix_profile(points, exponent):
    """An ICC profile of these primaries; exponent None: sRGB's curve."""
    import imagecodecs

    *colours, white = points
    curve = np.linspace(0, 1, 4096, dtype=np.float32)
    curve = curve**exponent if exponent else srgb_to_light(curve)
    try:
        return imagecodecs.cms_profile(
            "rgb",
            whitepoint=(*white, 1.0),
            transferfunction=curve.astype(np.float32),
            primaries=[number for point in colours for number in (*point, 1.0)],
        )
    except (ValueError, RuntimeError):  # primaries that are none
        return b""


def _profile_name(icc):
    try:
        return ImageCms.getProfileDescription(io.BytesIO(icc)).strip() or "its colour profile"
    except Exception:  # what is broken is found out when it is used
        return "its colour profile"


def to_srgb(values: np.ndarray, kind: str, space: Space | None, notes: list[str]) -> np.ndarray:
    """Convert colours to 8-bit sRGB.

    Args:
        values: (H, W) or (H, W, C), uint8 or uint16 over their whole range.
        kind: "GRAY", "RGB", "CMYK" or "LAB" (whose a and b are signed, in the values' own bits).
        space: Space, or None for sRGB.
        notes: list to which is added what was done.
    Returns:
        (H, W, 3) uint8.
    """
    if kind == "LAB":
        notes.append("converted Lab to RGB")
        return _in_bands(values, _from_lab)
    if kind == "CMYK":
        notes.append("converted CMYK to RGB")
    if space and space.hdr and kind != "CMYK":
        notes.append(f"tone-mapped from HDR ({space.name}) to sRGB")
        return _tone_mapped(_as_rgb(values), space)
    if space and (converted := _by_profile(values, kind, space, notes)) is not None:
        return converted
    values = reduce(values)
    if kind != "CMYK":
        return _as_rgb(values)
    return _in_bands(
        values,
        lambda inks: np.rint((255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255).astype(
            np.uint8
        ),
    )


def reduce(values: np.ndarray) -> np.ndarray:
    """Return uint8 or uint16 over its whole range as uint8."""
    return values if values.dtype == np.uint8 else cv2.convertScaleAbs(values, alpha=255 / 65535)


def _as_rgb(values):
    return cv2.cvtColor(values, cv2.COLOR_GRAY2RGB) if values.ndim == 2 else values


def _in_bands(values, function):
    """Apply a function of rows, so that floating point never holds the whole picture."""
    rows = max(1, BAND // values.shape[1])
    out = np.empty((*values.shape[:2], 3), np.uint8)
    for top in range(0, len(values), rows):
        out[top : top + rows] = function(values[top : top + rows])
    return out


def _by_profile(values, kind, space, notes):
    """Apply an ICC profile; None if it is sRGB already, broken or for another kind of picture."""
    try:
        holds = SPACES[space.profile[16:20]]
        if kind == "GRAY" and holds == "RGB":  # a grey picture kept the profile of its colours
            values, kind = _as_rgb(values), "RGB"
        if holds != kind:
            raise ValueError("the profile is for another kind of picture")
        convert = functools.partial(_convert, profile=space.profile, kind=kind)
        probe = _probe(kind)
        if (
            probe is not None
            and np.abs(convert(probe) - _as_rgb(reduce(probe)).astype(int)).max() <= SAME
        ):
            return None
        if kind == "GRAY" and values.dtype == np.uint8:
            converted = cv2.LUT(_as_rgb(values), convert(_DEEP_GREYS))
        else:
            converted = convert(values) if values.dtype == np.uint8 else _in_bands(values, convert)
    except Exception:  # a broken profile: the colours as stored are the best guess
        notes.append("ignored a broken colour profile")
        return None
    notes.append(f"converted colours from {space.name} to sRGB")
    return converted


def _convert(values, *, profile, kind):
    """(H, W[, C]) uint8, or uint16 by way of floating point, which alone is exact in the shadows.

    (For 16 bits, and for grey of 8, Littlecms goes through tables that are coarse there.)
    """
    import imagecodecs

    if values.dtype == np.uint16 and kind != "CMYK":  # for inks floating point means percent
        values = values.astype(np.float32) / 65535
    return imagecodecs.cms_transform(
        np.ascontiguousarray(values),
        profile,
        _srgb_profile(),
        colorspace=kind.lower(),
        outcolorspace="rgb",
        outdtype="u1",
        intent=int(ImageCms.Intent.RELATIVE_COLORIMETRIC),
        flags=int(ImageCms.Flags.BLACKPOINTCOMPENSATION),
    )


_DEEP_GREYS = np.arange(256, dtype=np.uint16)[None] * np.uint16(257)


@functools.cache
def _srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _probe(kind):
    """A small picture of many colours, by which a profile shows whether it is sRGB."""
    if kind == "GRAY":
        return _DEEP_GREYS
    greys = np.arange(256, dtype=np.uint8)[None]
    steps = np.linspace(0, 255, 6).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    return np.hstack([cube, _as_rgb(greys)]) if kind == "RGB" else None


def _from_lab(values):
    """CIE L*a*b* of a TIFF: L* from 0 to 100 over all bits, a* and b* signed."""
    signed = values[..., 1:].view(np.int8 if values.dtype == np.uint8 else np.int16)
    lab = np.empty(values.shape, np.float32)
    lab[..., 0] = values[..., 0] * (100 / np.iinfo(values.dtype).max)
    lab[..., 1:] = signed if values.dtype == np.uint8 else signed / 256
    return cv2.convertScaleAbs(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), alpha=255)


# -- high dynamic range ---------------------------------------------------------------------------


def _tone_mapped(values, space):
    """HDR to SDR: to light, into sRGB's primaries, and the brightest rolled off below white."""
    *colours, white = space.primaries
    to_709 = np.linalg.solve(_to_xyz(PRIMARIES[1][1:]), _to_xyz((*colours, white)))
    to_709 = to_709.astype(np.float32)
    top = np.float32(np.iinfo(values.dtype).max)

    def light(band):
        return _to_nits(band / top, space.hdr)

    step = max(1, int((values.shape[0] * values.shape[1] / BAND) ** 0.5))  # a sample is enough
    peak = float(np.percentile(light(values[::step, ::step]).max(axis=2), 99.9))

    def convert(band):
        nits = light(band)
        brightest = np.maximum(nits.max(axis=2, keepdims=True), 1e-4)
        nits *= _roll_off(brightest, max(peak, WHITE_NITS)) / brightest
        shown = np.clip(nits @ to_709.T / WHITE_NITS, 0, 1)
        return np.rint(255 * light_to_srgb(shown)).astype(np.uint8)

    return _in_bands(values, convert)


def _to_xyz(points):
    """The matrix from linear RGB of these primaries to XYZ in which white has Y = 1."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in points]).T
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])


def _to_nits(signal, hdr):
    """Numbers in [0, 1] of PQ or HLG to light in cd/m2 (ITU-R BT.2100)."""
    if hdr == "PQ":
        return _pq_to_nits(signal)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ np.float32([0.2627, 0.6780, 0.0593])
    return HLG_PEAK_NITS * scene * (luminance ** (HLG_GAMMA - 1))[..., None]


PQ_M1, PQ_M2, PQ_C1, PQ_C2, PQ_C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875


def _pq_to_nits(signal):
    power = signal ** (1 / PQ_M2)
    return 10000 * (np.maximum(power - PQ_C1, 0) / (PQ_C2 - PQ_C3 * power)) ** (1 / PQ_M1)


def _nits_to_pq(nits):
    power = (nits / 10000) ** PQ_M1
    return ((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)) ** PQ_M2


def _roll_off(nits, peak):
    """Brightness of a screen whose white is paper white, by the Hermite spline of BT.2390."""
    top = _nits_to_pq(np.float32(peak))
    bright, white = _nits_to_pq(nits) / top, _nits_to_pq(np.float32(WHITE_NITS)) / top
    knee = max(0.0, 1.5 * white - 0.5)
    if knee >= 1:  # nothing is brighter than white
        return nits
    t = np.clip((bright - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * white
    )
    return np.where(bright <= knee, nits, _pq_to_nits(spline * top))


def srgb_to_light(values: np.ndarray) -> np.ndarray:
    """Linear light, in [0, 1], of sRGB's values in [0, 1] (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def light_to_srgb(light: np.ndarray) -> np.ndarray:
    """The way back of `srgb_to_light`."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
