"""The families of synthetic scenes; each fills a builder and says how it is seen."""

from utils.synthetic.closeup import closeup
from utils.synthetic.indoor import room, tabletop
from utils.synthetic.mesh import Builder
from utils.synthetic.nature import landscape
from utils.synthetic.setting import Setup
from utils.synthetic.street import street

FAMILIES = {
    "room": (room, 0.32),
    "tabletop": (tabletop, 0.2),
    "street": (street, 0.15),
    "landscape": (landscape, 0.12),
    "closeup": (closeup, 0.21),
}
"""Family -> (function that builds it, share of the scenes)."""


def draw_scene(b: Builder, width: float, family: str | None = None) -> tuple[str, Setup]:
    """Build a scene.

    Args:
        b: an empty Builder.
        width: of the picture, px; sets the focal length.
        family: one of FAMILIES, by default drawn at random.
    Returns:
        name of the family, Setup.
    """
    if family is None:
        shares = [share for _, share in FAMILIES.values()]
        family = str(b.rng.choice(list(FAMILIES), p=shares))
    return family, FAMILIES[family][0](b, width)
