"""Photographs with depth, a second eye and a lens in their files, written as phones write them."""

import base64
import hashlib
import io
import struct

from PIL import Image

RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    "{attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>"
)
DEPTHMAP = 'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/"'
NOTE = 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"


def encoded(pixels, kind="JPEG", **options):
    """A picture file as bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **({"quality": 95} | options))
    return buffer.getvalue()


def packet(attributes="", elements=""):
    return RDF.format(attributes=attributes, elements=elements).encode()


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def with_segments(jpeg, *segments):
    """A JPEG with further segments at its beginning."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def orientation_exif(orientation, **tags):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update(tags.get("details", {}))
    return exif


# -- GDepth and Dynamic Depth ---------------------------------------------------------------------


def gdepth_jpeg(
    photo,
    grey,
    said='GDepth:Format="RangeInverse" GDepth:Near="2" GDepth:Far="60"',
    order=-1,
    chunk=600,
    **options,
):
    """A JPEG with a map in extended XMP, whose chunks come last first (`order`)."""
    data = base64.b64encode(encoded(grey, "PNG")).decode()
    extension = packet(f'{DEPTHMAP} GDepth:Data="{data}"')
    guid = hashlib.md5(extension).hexdigest().upper().encode()
    main = packet(
        f'{DEPTHMAP} {NOTE} {said} GDepth:Mime="image/png" xmpNote:HasExtendedXMP="{guid.decode()}"'
    )
    chunks = [
        segment(
            0xE1,
            EXTENSION + guid + struct.pack(">II", len(extension), at) + extension[at : at + chunk],
        )
        for at in range(0, len(extension), chunk)
    ]
    return with_segments(encoded(photo, **options), segment(0xE1, XMP + main), *chunks[::order])


def dynamic_depth_jpeg(photo, grey, form="RangeLinear", near=1.0, far=5.0, claimed=None):
    """A JPEG with a container directory, a film and then the map appended."""
    film, depth = b"not a film at all", encoded(grey)
    spaces = (
        'xmlns:Container="http://ns.google.com/photos/dd/1.0/container/" '
        'xmlns:Item="http://ns.google.com/photos/dd/1.0/item/" '
        'xmlns:Camera="http://ns.google.com/photos/dd/1.0/camera/" '
        'xmlns:DepthMap="http://ns.google.com/photos/dd/1.0/depthmap/" '
        'xmlns:ImagingModel="http://ns.google.com/photos/dd/1.0/imagingmodel/"'
    )
    items = [
        ("image/jpeg", "primary", 0),
        ("video/mp4", "film", len(film)),
        ("image/jpeg", "android/depthmap", claimed or len(depth)),
    ]
    listed = "".join(
        f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="{mime}" '
        f'Item:DataURI="{uri}" Item:Length="{length}"/></rdf:li>'
        for mime, uri, length in items
    )
    height, width = photo.shape[:2]
    elements = (
        f"<Container:Directory><rdf:Seq>{listed}</rdf:Seq></Container:Directory>"
        f'<Camera:DepthMap rdf:parseType="Resource"><DepthMap:Format>{form}</DepthMap:Format>'
        f"<DepthMap:Near>{near}</DepthMap:Near><DepthMap:Far>{far}</DepthMap:Far>"
        f"<DepthMap:DepthURI>android/depthmap</DepthMap:DepthURI></Camera:DepthMap>"
        f'<Camera:ImagingModel rdf:parseType="Resource" ImagingModel:FocalLengthX="{width * 1.5}" '
        f'ImagingModel:ImageWidth="{2 * width}" ImagingModel:ImageHeight="{2 * height}"/>'
    )
    jpeg = with_segments(encoded(photo), segment(0xE1, XMP + packet(spaces, elements)))
    return jpeg + film + depth


# -- MPF ------------------------------------------------------------------------------------------


def mpf_jpeg(pictures, kinds=(0x030000, 0), order=">"):
    """JPEG files one behind the other, listed by MPF in the first."""
    count = len(pictures)
    listed = 4 + len(b"MPF\0") + 8 + 2 + 3 * 12 + 4 + 16 * count  # of the segment, marker included
    sizes = [len(pictures[0]) + listed, *map(len, pictures[1:])]
    base = 2 + 4 + len(b"MPF\0")  # of offsets: the byte order mark
    starts = [0] + [sum(sizes[:number]) - base for number in range(1, count)]
    head = {">": b"MM", "<": b"II"}[order] + struct.pack(order + "HI", 42, 8)
    directory = struct.pack(order + "HHI4s", 0xB000, 7, 4, b"0100")
    directory += struct.pack(order + "HHII", 0xB001, 4, 1, count)
    directory += struct.pack(order + "HHII", 0xB002, 7, 16 * count, 8 + 2 + 3 * 12 + 4)
    entries = b"".join(
        struct.pack(order + "IIIHH", kind, size, start, 0, 0)
        for kind, size, start in zip(kinds, sizes, starts, strict=True)
    )
    content = b"MPF\0" + head + struct.pack(order + "H", 3) + directory + bytes(4) + entries
    return with_segments(pictures[0], segment(0xE2, content)) + b"".join(pictures[1:])


def apple_jpeg(photo, grey, kind="disparity", low=0.5, high=2.5, focal=0.75, **options):
    """A JPEG as an iPhone writes it: behind it a grey one whose XMP says what it is."""
    height, width = photo.shape[:2]
    matrix = [focal * 4 * width, 0, 0, 0, focal * 4 * width, 0, 2 * width, 2 * height, 1]
    listed = "".join(f"<rdf:li>{number}</rdf:li>" for number in matrix)
    spaces = (
        'xmlns:apdi="http://ns.apple.com/pixeldatainfo/1.0/" '
        'xmlns:depthData="http://ns.apple.com/depthData/1.0/"'
    )
    elements = (
        f"<depthData:IntrinsicMatrix><rdf:Seq>{listed}</rdf:Seq></depthData:IntrinsicMatrix>"
        f"<depthData:IntrinsicMatrixReferenceWidth>{4 * width}"
        "</depthData:IntrinsicMatrixReferenceWidth>"
        f"<depthData:IntrinsicMatrixReferenceHeight>{4 * height}"
        "</depthData:IntrinsicMatrixReferenceHeight>"
        f"<apdi:FloatMinValue>{low}</apdi:FloatMinValue>"
        f"<apdi:FloatMaxValue>{high}</apdi:FloatMaxValue>"
        f"<apdi:AuxiliaryImageType>{kind}</apdi:AuxiliaryImageType>"
    )
    depth = with_segments(encoded(grey), segment(0xE1, XMP + packet(spaces, elements)))
    return mpf_jpeg([encoded(photo, **options), depth])


# -- HEIC -----------------------------------------------------------------------------------------


def heic(pictures, depth_of_first=False, pair=False, focal=None, primary=0):
    """An HEIC file of several pictures; the last one the depth of the first, or both a pair.

    pillow-heif writes the pictures; the boxes that it cannot write are put in (ISO/IEC 23008-12).
    `focal` is the focal length of all as a share of the width; `primary` the number of the photo.
    """
    import pillow_heif

    file = pillow_heif.HeifFile()
    for pixels in pictures:
        file.add_from_pillow(Image.fromarray(pixels))
    buffer = io.BytesIO()
    file.save(buffer, quality=90, primary_index=int(primary))
    boxes = dict(_boxes(buffer.getvalue()))
    meta = dict(_boxes(boxes[b"meta"][4:]))
    ids = _item_ids(meta[b"iinf"])
    if depth_of_first:
        meta[b"iref"] = meta.get(b"iref", bytes(4)) + _box(
            b"auxl", struct.pack(">HHH", ids[-1], 1, ids[0])
        )
        aux = _box(b"auxC", bytes(4) + b"urn:mpeg:hevc:2015:auxid:2\0")
        _add_property(meta, aux, [ids[-1]])
    if pair:
        meta[b"grpl"] = _box(b"ster", struct.pack(">IIIII", 0, 99, 2, *ids[:2]))
    if focal:
        # Focal length, then the principal point, as shares of the width in 1/65536.
        numbers = [round(value * 65536) for value in (focal, 0.5, 0.5)]
        _add_property(meta, _box(b"cmin", struct.pack(">Iiii", 16 << 8, *numbers)), ids)
    before = len(boxes[b"meta"])
    content = boxes[b"meta"][:4] + b"".join(_box(name, body) for name, body in meta.items())
    grown = len(content) - before
    meta[b"iloc"] = _moved(meta[b"iloc"], grown)
    boxes[b"meta"] = content[:4] + b"".join(_box(name, body) for name, body in meta.items())
    return b"".join(_box(name, body) for name, body in boxes.items())


def _box(name, content):
    return struct.pack(">I4s", len(content) + 8, name) + content


def _boxes(data):
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + size]
        at += size


def _item_ids(iinf):
    version = iinf[0]
    entries = _boxes(iinf[4 + (4 if version else 2) :])
    kept = []
    for _, body in entries:
        number, _, kind = struct.unpack_from(">HH4s", body, 4)
        if kind == b"hvc1":
            kept.append(number)
    return kept


def _add_property(meta, prop, ids):
    """Put a property into ipco and give it to items in ipma (version 0, small indices)."""
    parts = dict(_boxes(meta[b"iprp"]))
    parts[b"ipco"] += prop
    index = len(list(_boxes(parts[b"ipco"])))
    ipma = parts[b"ipma"]
    assert ipma[:4] == bytes(4)
    (count,) = struct.unpack_from(">I", ipma, 4)
    at, entries = 8, b""
    for _ in range(count):
        number, amount = struct.unpack_from(">HB", ipma, at)
        listed = ipma[at + 3 : at + 3 + amount] + (bytes([index]) if number in ids else b"")
        entries += struct.pack(">HB", number, len(listed)) + listed
        at += 3 + amount
    parts[b"ipma"] = ipma[:8] + entries
    meta[b"iprp"] = b"".join(_box(name, body) for name, body in parts.items())


def _moved(iloc, grown):
    """The item locations, moved as the file grows before them."""
    version, sizes, base = iloc[0], iloc[4], iloc[5] >> 4
    assert version in (0, 1) and sizes == 0x44 and base in (0, 4), iloc[:8].hex()
    (count,) = struct.unpack_from(">H", iloc, 6)
    out, at = bytearray(iloc), 8
    for _ in range(count):
        at += 2
        method = 0
        if version:
            method = struct.unpack_from(">H", iloc, at)[0] & 15
            at += 2
        at += 2 + base
        (extents,) = struct.unpack_from(">H", iloc, at)
        at += 2
        for _ in range(extents):
            if method == 0:
                (offset,) = struct.unpack_from(">I", iloc, at)
                struct.pack_into(">I", out, at, offset + grown)
            at += 8
    return bytes(out)
