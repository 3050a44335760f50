"""XMP: what a file says of itself in XML, read by the words that say it.

Files are hostile until shown otherwise: packets with entities are refused, since those may unfold
without end.
"""

import re
from xml.etree import ElementTree

from utils.film.kinds import UnreadableFile

VERSION = re.compile(r"[\d.]+|")


class Xmp:
    """The properties of one or more packets.

    They are called by the last word of their namespace, which has many versions, and their name:
    ("depthmap", "Near") is that of GDepth and that of Dynamic Depth.

    Args:
        packets: XML, as bytes.
    Raises:
        UnreadableFile: a packet is no XML, or has entities.
    """

    def __init__(self, packets: list[bytes]) -> None:
        """Parse the packets."""
        self._roots = [_parse(packet) for packet in packets]

    def first(self, space: str, name: str) -> str | None:
        """Return the first value of a property as text, or None."""
        for root in self._roots:
            for element in root.iter():
                if (value := _value(element, space, name)) is not None:
                    return value
        return None

    def number(self, space: str, name: str) -> float | None:
        """Return the first value of a property as a number; None if it is none."""
        try:
            return float(self.first(space, name) or "")
        except ValueError:
            return None

    def sequence(self, space: str, name: str) -> list[str]:
        """Return the items of the first list of that name."""
        for root in self._roots:
            for element in root.iter():
                if _words(element.tag) == (space, name):
                    return [item.text or "" for item in element.iter() if item.tag.endswith("}li")]
        return []

    def groups(self, space: str) -> list[dict[str, str]]:
        """Return {name: value} of every element that has properties of a namespace, in order."""
        found = []
        for root in self._roots:
            for element in root.iter():
                said = {
                    _words(key)[1]: text for key, text in element.items() if _words(key)[0] == space
                }
                said |= {
                    _words(child.tag)[1]: child.text or ""
                    for child in element
                    if _words(child.tag)[0] == space and not len(child)
                }
                if said:
                    found.append(said)
        return found


def _parse(packet):
    start = packet.find(b"<")
    packet = packet[max(start, 0) :].rstrip(b"\0 \r\n\t")
    if b"<!ENTITY" in packet or b"<!DOCTYPE" in packet:
        raise UnreadableFile("its XMP has entities, which may unfold without end")
    try:
        return ElementTree.fromstring(packet)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UnreadableFile(f"its XMP cannot be read ({error})") from error


def _words(tag):
    """("depthmap", "Near") of "{http://ns.google.com/photos/1.0/depthmap/}Near"."""
    space, _, name = tag.rpartition("}")
    words = [word for word in space.split("/") if not VERSION.fullmatch(word)]
    return words[-1] if words else "", name


def _value(element, space, name):
    for key, text in element.items():
        if _words(key) == (space, name):
            return text
    return element.text or "" if _words(element.tag) == (space, name) else None
