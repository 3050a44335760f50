"""Trees, bushes, grass and rocks, standing on z = 0 in the builder's frame."""

import numpy as np

from utils.synthetic.mesh import (
    Builder,
    bumpy,
    cards,
    ellipsoid,
    leaf_cards,
    shifted,
    stick,
    tube,
    turned,
)


def _crown(b, centre, size, foliage, count, card):
    """A cloud of leaf cards in an ellipsoid: most near its skin."""
    rng = b.rng
    direction = rng.normal(0, 1, (count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radius = rng.random((count, 1)) ** 0.4
    centres = np.asarray(centre) + direction * radius * np.asarray(size)
    normals = direction + [0, 0, 0.35]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    b.add(leaf_cards(rng, centres, normals, card), foliage)


def broadleaf(b: Builder, height: float, detail: float = 1.0) -> None:
    """A tree with a forked trunk and a crown of several clumps."""
    rng = b.rng
    trunk = height * rng.uniform(0.2, 0.4)
    radius = height * rng.uniform(0.018, 0.035)
    bark = b.material("bark", np.full(3, rng.uniform(0.4, 1.0)), 0.6, grunge=0.2)
    tint = rng.uniform(0.4, 0.85) * (1 + rng.normal(0, 0.08, 3))
    foliage = b.material("leaves", tint, cutout=1, through=0.4)
    bend = rng.normal(0, 0.04, 2) * height
    top = np.array([*bend, trunk])
    b.add(
        tube(
            [(0, 0, -0.2), (bend[0] * 0.3, bend[1] * 0.3, trunk * 0.5), top],  # type: ignore[arg-type]
            [radius * 1.3, radius, radius * 0.85],
            9,
        ),
        bark,
    )
    clumps = int(rng.integers(4, 9))
    spread = height * rng.uniform(0.16, 0.3)
    for i in range(clumps):
        angle = 2 * np.pi * (i / clumps) + rng.normal(0, 0.4)
        reach = spread * rng.uniform(0.3, 1.0)
        up = rng.uniform(trunk + 0.1 * height, height * 0.88)
        centre = np.array([np.cos(angle) * reach, np.sin(angle) * reach, up]) + [*bend, 0]
        b.add(
            tube(
                [top - [0, 0, 0.02 * height], (top + centre) / 2 + [0, 0, 0.02 * height], centre],
                [radius * 0.6, radius * 0.4, radius * 0.15],
                6,
            ),
            bark,
        )
        size = height * rng.uniform(0.1, 0.18) * np.array([1.15, 1.15, 0.85])
        _crown(b, centre, size, foliage, int(46 * detail), height * 0.13 / detail**0.4)


def conifer(b: Builder, height: float, detail: float = 1.0) -> None:
    """A fir: whorls of drooping twigs."""
    rng = b.rng
    bark = b.material("bark", np.full(3, 0.5), 0.6)
    b.add(stick((0, 0, -0.2), (0, 0, height * 0.95), height * 0.016, 7, 0.01), bark)
    tint = rng.uniform(0.4, 0.9) * np.array([0.9, 1.0, 0.95 + rng.uniform(0, 0.3)])
    foliage = b.material("needles", tint, cutout=1, through=0.25)
    count = int(150 * detail)
    z = height * (0.1 + 0.9 * np.sort(rng.random(count)))
    reach = (height - z) * rng.uniform(0.2, 0.3) + 0.02 * height
    angle = rng.uniform(0, 2 * np.pi, count)
    out = np.stack([np.cos(angle), np.sin(angle), np.full(count, -0.35)], 1)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    side = np.stack([-np.sin(angle), np.cos(angle), np.zeros(count)], 1)
    centres = np.stack([np.zeros(count), np.zeros(count), z], 1) + out * reach[:, None] * 0.6
    normals = out * [1, 1, 0] + [0, 0, 0.5]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    size = reach * 1.25 / detail**0.3
    across, along = out * 1.0, side + rng.normal(0, 0.15, (count, 3))
    b.add(cards(centres, size, across, along, normals), foliage)


def bare_tree(b: Builder, height: float) -> None:
    """A leafless tree: branches that fork three times."""
    rng = b.rng
    bark = b.material("bark", np.full(3, rng.uniform(0.3, 0.9)), 0.6)

    def grow(start, direction, length, radius, depth):
        bend = rng.normal(0, 0.12, 3)
        middle = start + (direction + bend) * length * 0.5
        end = start + (direction + bend * 0.3) * length
        b.add(tube([start, middle, end], [radius, radius * 0.8, radius * 0.6], 7 - depth), bark)
        for _ in range(0 if depth == 3 else int(rng.integers(2, 5))):
            turn = direction + rng.normal(0, 0.5, 3) + [0, 0, 0.15]
            grow(
                start + (end - start) * rng.uniform(0.6, 1.0),
                turn / np.linalg.norm(turn),
                length * rng.uniform(0.5, 0.75),
                radius * 0.55,
                depth + 1,
            )

    grow(np.array([0, 0, -0.1]), np.array([0, 0, 1.0]), height * 0.4, height * 0.025, 0)


def palm(b: Builder, height: float) -> None:
    """A bent trunk with fronds."""
    rng = b.rng
    lean = rng.normal(0, 0.12, 2) * height
    top = np.array([*lean, height * 0.85])
    b.add(
        tube(
            [(0, 0, -0.2), (lean[0] * 0.3, lean[1] * 0.3, height * 0.45), top],  # type: ignore[arg-type]
            [height * 0.03, height * 0.022, height * 0.018],
            9,
        ),
        b.material("bark", tile=0.4),
    )
    frond = b.material("needles", (1.2, 1.2, 0.8), cutout=1, through=0.4)
    count = 34
    angle = rng.uniform(0, 2 * np.pi, count)
    tilt = rng.uniform(-0.9, 0.7, count)
    out = np.stack([np.cos(angle) * np.cos(tilt), np.sin(angle) * np.cos(tilt), np.sin(tilt)], 1)
    side = np.stack([-np.sin(angle), np.cos(angle), np.zeros(count)], 1)
    size = height * rng.uniform(0.3, 0.42, count)
    b.add(
        cards(top + out * size[:, None] * 0.5, size, out, side * 0.6, out * 0.4 + [0, 0, 0.8]),
        frond,
    )


def bush(b: Builder, height: float) -> None:
    """A rounded shrub, sometimes in flower."""
    rng = b.rng
    kind = "flowers" if rng.random() < 0.25 else "leaves"
    foliage = b.material(
        kind, rng.uniform(0.5, 1.0, 3) * 0.2 + rng.uniform(0.4, 0.8), cutout=1, through=0.35
    )
    size = np.array([*rng.uniform(0.45, 0.9, 2), 0.5]) * height
    _crown(b, (0, 0, height * 0.5), size, foliage, 70, height * 0.35)


def tree(b: Builder, height: float, detail: float = 1.0) -> None:
    """Any tree."""
    choice = b.rng.random()
    if choice < 0.58:
        broadleaf(b, height, detail)
    elif choice < 0.82:
        conifer(b, height, detail)
    elif choice < 0.92:
        bare_tree(b, height)
    else:
        palm(b, height)


def meadow(
    b: Builder, spots: np.ndarray, sizes: np.ndarray, kind: str = "tuft", tint: float = 1.0
) -> None:
    """Upright cut-out tufts at spots (K, 3), two crossed cards each."""
    rng = b.rng
    count = len(spots)
    angle = rng.uniform(0, np.pi, count)
    up = np.tile([[0.0, 0.0, 1.0]], (2 * count, 1)) + rng.normal(0, 0.08, (2 * count, 3))
    angle = np.concatenate([angle, angle + np.pi / 2])
    across = np.stack([np.cos(angle), np.sin(angle), np.zeros(2 * count)], 1)
    centres = np.tile(spots + np.stack([0 * sizes, 0 * sizes, sizes * 0.48], 1), (2, 1))
    foliage = b.material(kind, np.full(3, tint), cutout=1, through=0.4)
    normals = np.tile([[0.0, 0.0, 1.0]], (2 * count, 1))
    b.add(cards(centres, np.tile(sizes, 2), across, up, normals), foliage)


def boulder(b: Builder, size: float) -> None:
    """A rock, partly in the ground."""
    rng = b.rng
    mesh = ellipsoid(*(size * rng.uniform(0.6, 1.4, 3)), 22, rng.uniform(0.5, 1.0))  # type: ignore[call-arg]
    mesh = bumpy(turned(mesh, *rng.uniform(0, 6, 3)), rng, size * 0.1, size)
    points, normals, _, faces = bumpy(mesh, rng, size * 0.025, size * 0.25)
    # Laid flat along a slanted axis: at the pole of a globe the stone would look like a pumpkin.
    uvs = points @ np.array([[0.8, 0.0], [0.1, 0.8], [0.55, 0.6]])
    stone = b.material("rock", np.full(3, rng.uniform(0.4, 0.9)), size * 1.2, grunge=0.3)
    b.add(shifted((points, normals, uvs, faces), (0, 0, size * 0.2)), stone)
