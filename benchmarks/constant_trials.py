"""One number of the code set to another value, and what then comes out of a stage.

A process that has worked once (all modules loaded, all kernels compiled, the inputs of every stage
known) forks; the child changes one number everywhere it has got to, and works again. That is what a
changed line would do, without a second checkout and with only those kernels compiled anew that know
the number. Needs `fork`, so no Windows.
"""

import ast
import functools
import importlib
import itertools
import json
import math
import os
import signal
import sys
import types
from pathlib import Path

import cv2
import numba
import numpy as np
import torch

PACKAGES = ("kernels", "models", "utils")
KERNEL = type(numba.njit(lambda: None))
SHIFT = (9.3, 2.6, 0.0)  # of the second view of drawings
MOST_S = 300  # that a trial may take


# --- numbers -------------------------------------------------------------------------------------
def loaded():
    """{name: module} of the project."""
    return {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in PACKAGES and getattr(module, "__file__", None)
    }


@functools.cache
def tree_of(file):
    """The syntax tree of a file."""
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def set_number(module, name, value):
    """Give a number of a module another value, for all that was made of it.

    Raises:
        ValueError: something was made of it that this does not know to make anew.
    """
    touched, waiting = set(), [(module, name)]
    setattr(sys.modules[module], name, value)
    while waiting:
        place = waiting.pop()
        if place not in touched:
            touched.add(place)
            waiting += [*_importers(*place), *_made_of(*place)]
    for each in loaded().values():
        for thing in vars(each).values():
            if hasattr(thing, "cache_clear"):
                thing.cache_clear()
    _compile_anew(touched)


def _importers(module, name):
    """(module, name) of all that have imported a name, which they get anew."""
    value = getattr(sys.modules[module], name)
    for other, source, taken, known in imports(len(loaded())):
        its = sys.modules[other]
        if (source, taken) == (module, name) and known in vars(its):
            setattr(its, known, value)
            yield other, known


@functools.cache
def imports(_count):
    """(module, from which, which name, as what) of all that modules import by name."""
    return [
        (name, _source(node, name, its), alias.name, alias.asname or alias.name)
        for name, its in loaded().items()
        for node in ast.walk(tree_of(its.__file__))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


def _source(node, module, its):
    """The module that an import is from."""
    if not node.level:
        return node.module
    package = module if hasattr(its, "__path__") else module.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


def _made_of(module, name):
    """(module, name) of what a module makes of a name when it is loaded, which is made anew."""
    its = sys.modules[module]
    for node in tree_of(its.__file__).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            made = [each.id for target in targets for each in ast.walk(target)
                    if isinstance(each, ast.Name)]  # fmt: skip
            if name not in made and _mentions(node.value, name):
                code = ast.Module([node], [])
                exec(compile(code, its.__file__, "exec"), vars(its))
                yield from ((module, each) for each in made)
        elif isinstance(node, ast.FunctionDef):
            if any(_mentions(default, name) for default in node.args.defaults):
                function = vars(its)[node.name]
                function.__defaults__ = tuple(
                    eval(ast.unparse(default), vars(its)) for default in node.args.defaults
                )
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if not isinstance(part, ast.FunctionDef) and _mentions(part, name):
                    raise ValueError(f"{module}.{node.name} was made of {name}")


def _mentions(node, name):
    """Whether code reads a name."""
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))


def _compile_anew(touched):
    """Replace every kernel that has frozen a touched name, and those that call it."""
    modules = loaded()
    kernels = {
        thing: (thing.py_func, vars(its))
        for its in modules.values()
        for thing in vars(its).values()
        if isinstance(thing, KERNEL)
    }
    by_namespace = {id(vars(its)): name for name, its in modules.items()}
    stale = set()
    while True:
        more = set()
        for kernel in set(kernels) - stale:
            space = kernel.py_func.__globals__
            home = by_namespace.get(id(space))
            names = set(_names(kernel.py_func.__code__))
            if any((home, each) in touched for each in names) or any(
                isinstance(space.get(each), KERNEL) and space[each] in stale for each in names
            ):
                more.add(kernel)
        if not more:
            break
        stale |= more
    for kernel in stale:
        fresh = numba.jit(**kernel.targetoptions)(kernel.py_func)
        for its in modules.values():
            for name, thing in list(vars(its).items()):
                if thing is kernel:
                    setattr(its, name, fresh)


def _names(code):
    """Names that code and what is inside it reads."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)


def scaled(value, factor):
    """A number, or several, at so many times its value; whole ones stay whole and change."""
    if hasattr(value, "_make"):
        return value._make(scaled(part, factor) for part in value)
    if isinstance(value, tuple | list):
        return type(value)(scaled(part, factor) for part in value)
    if isinstance(value, np.ndarray):
        return (value * factor).astype(value.dtype)
    if isinstance(value, int | np.integer):
        moved = round(int(value) * factor)
        return type(value)(moved if moved != value else value + (1 if factor > 1 else -1))
    return type(value)(value * type(value)(factor))


# --- stages --------------------------------------------------------------------------------------
def plain_image(image):
    """(H, W, 3) uint8 of (1, 3, H, W) in [0, 1]."""
    return np.ascontiguousarray((image[0].permute(1, 2, 0) * 255).round().byte().numpy())


def as_grey(disparity):
    """(H, W) float32 from 0 to 255, so that differences of all that is made have one unit."""
    low, high = np.nanpercentile(disparity, (1, 99))
    return ((disparity - low) * (255 / max(high - low, 1e-9))).astype(np.float32)


def means(rows):
    """{figure: its mean over those of the dicts that have it}."""
    found = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, []).append(float(value))
    return {name: sum(values) / len(values) for name, values in found.items()}


class Stages:
    """What every stage begins with, and the stages: () -> {figure: number}, [arrays]."""

    def __init__(self, data):
        """Read, estimate and lift; data: folder with val/, strong2/ and measured/."""
        from benchmarks import edges, inpainting, outlines, phone_depth, surfaces
        from benchmarks.depth import stereo_samples
        from benchmarks.folders import photos_in
        from benchmarks.planning import by_shot, read_scene
        from utils.depth.estimators import refine_disparity
        from utils.depth.segments import find_segments
        from utils.weights.chosen import Networks, find_weights

        networks = Networks(find_weights("estimation"), find_weights("refinement"))
        self.refiner = networks.refiner
        stereo = data / "val" / "stereo"
        chosen = [s for s in stereo_samples(stereo) if s.name in ("cones", "art")]
        sharp = [s for s in outlines.sharp_samples(data / "strong2") if not s.ordered]
        chosen += sharp[:: max(1, len(sharp) // 2)][:2]
        self.samples = [
            (one, networks.estimator(one.image), find_segments(plain_image(one.image)))
            for one in chosen
        ]
        self.phones = []
        for _, image, truth in (
            *itertools.islice(phone_depth.measured_samples(data / "measured", "lensblur_"), 2),
            *phone_depth.drawn_samples(1, (288, 384)),
        ):
            estimate = refine_disparity(self.refiner, image, networks.estimator(image))
            self.phones.append((image, truth, phone_depth.phone_map(truth, 0.2), estimate))
        self.pairs = [p for p in inpainting.stereo_pairs(stereo) if p.name in ("cones", "reindeer")]
        photos = photos_in(data / "val" / "photos")
        self.scenes = [
            read_scene(photos[index], 512, None, networks) for index in (0, 7, 9, 14, 24)
        ]
        self.lines = [
            (scene.image, networks.estimator(scene.image), find_segments(plain_image(scene.image)))
            for scene in self.scenes[:3]
        ]
        self.paths = [by_shot(scene)[0] for scene in self.scenes[:2]]
        self.paths.append(surfaces.path_of(self.scenes[2], "right", 1.0))
        self.drawings = []
        for drawing in edges.drawings():
            if drawing.name in ("soft", "fur", "leaves"):
                picture, disparity = edges.look(drawing)
                truth, second = edges.look(drawing, SHIFT[:2])
                self.drawings.append((
                    edges.image_tensor((picture * 255 + 0.5).astype(np.uint8)),
                    torch.from_numpy(disparity)[None, None],
                    torch.from_numpy(truth).permute(2, 0, 1)[None],
                    edges.edge_band(second), edges.shows(drawing, SHIFT[:2], second),
                ))  # fmt: skip

    def depth(self):
        """benchmarks.outlines and benchmarks.straight, of estimates."""
        from benchmarks import depth, straight
        from utils.depth.estimators import refine_disparity
        from utils.training import metrics

        rows, made = [], []
        for sample, coarse, segments in self.samples:
            disparity = refine_disparity(self.refiner, sample.image, coarse)
            truth, mask = sample.inverse, sample.inverse > 0
            fitted = metrics.align(disparity, truth, mask)
            row = depth.figures(disparity, sample) | metrics.outline_error(fitted, truth, mask)
            if segments:
                row |= straight.line_figures(disparity[0, 0].numpy(), segments)
            rows.append(row)
            made.append(as_grey(disparity[0, 0].numpy()))
        for image, coarse, segments in self.lines:
            disparity = refine_disparity(self.refiner, image, coarse)[0, 0].numpy()
            rows.append(straight.line_figures(disparity, segments) if segments else {})
            made.append(as_grey(disparity))
        return means(rows), made

    def phone(self):
        """benchmarks.phone_depth, of what a film gets."""
        from benchmarks.phone_depth import errors
        from utils.depth.own import own_disparity

        rows, made = [], []
        for image, truth, own, estimate in self.phones:
            found = own_disparity(own, image, lambda estimate=estimate: estimate)[0, 0].numpy()
            unknown = cv2.resize(np.isnan(own).astype(np.uint8), found.shape[::-1]) > 0
            off = errors(found, truth, unknown)
            rows.append(dict(zip(("off", "off_edge", "off_hole"), off, strict=True)))
            made.append(as_grey(found))
        return means(rows), made

    def eyes(self):
        """Stereo photos matched: how much is, how far off, and which eye is the left one."""
        from utils.depth.eye_order import vote_of_network
        from utils.depth.two_eyes import match_upright

        rows, made = [], []
        for pair in self.pairs:
            matched = match_upright(*(plain_image(view) for view in (pair.image, pair.truth)))
            found = matched.disparity
            truth = cv2.resize(pair.disparity[0, 0].numpy(), found.shape[::-1], interpolation=0)
            known = np.isfinite(found) & (truth > 0)
            off = np.abs(found - truth * (found.shape[1] / pair.image.shape[3]))[known]
            behind, hidden = matched.second.hidden()
            rows.append({
                "matched": float(np.isfinite(found).mean()), "match_off": float(off.mean()),
                "vote": float(matched.vote), "vote_network": float(vote_of_network(found, truth)),
                "hidden": float(hidden.mean()),
            })  # fmt: skip
            made += [as_grey(np.nan_to_num(found)), as_grey(behind)]
        return means(rows), made

    def plan(self):
        """benchmarks.planning, of the automatic shot, of moves, and the window of autozoom."""
        from benchmarks.planning import by_shot, measure_parallax
        from utils.camera import complete_windows, invented_shares
        from utils.camera.autozoom import find_zoom_window
        from utils.camera.staging import plan_move, set_stage
        from utils.scene import lifted

        rows, made = [], []
        for number, scene in enumerate(self.scenes):
            start, end, *_ = complete_windows(scene.size)
            stage = set_stage(
                scene, (end.center_u, end.center_v), (start, end), scene.size, 1, False
            )
            paths = {"shot": by_shot(scene)[0]}
            for name in ("windows", "zoom-in", "right", "orbit", "dolly") if not number else ():
                paths[name] = plan_move(name, stage, scene, scene.size)
            for name, path in paths.items():
                rows.append({
                    f"{name}_parallax": measure_parallax(scene, path),
                    f"{name}_invented": max(invented_shares(scene, path, scene.size, (0, 0.5, 1))),
                })  # fmt: skip
                views = [path.view(t, scene.size) for t in (0, 0.3, 0.5, 1)]
                made.append(
                    np.array([[*v["shift"], v["focal_px"] or 0.0, *v["lens"]] for v in views])
                )
            if not number:
                window = find_zoom_window(lifted(scene), start).window
                made.append(np.array([window.center_u, window.center_v]))
        return means(rows), made

    def scene(self):
        """benchmarks.edges, inpainting and surfaces, less of each; end frames of photos."""
        from benchmarks import edges, inpainting, surfaces
        from utils.scene import FarSide, Scene

        rows, made = [], []
        for image, disparity, truth, band, seen in self.drawings:
            scene = Scene(image, disparity, edges.SIZE[1] / 2, edges.BASELINE)
            rest, _ = scene.render((0, 0, 0))
            scene.inpaint(FarSide(), [1.1 * value for value in SHIFT])
            view, _ = scene.render(SHIFT)
            rows.append(edges.judged(view, truth, band, seen))
            made += [rest, view]
        for pair in self.pairs:
            holed = inpainting.second_view(pair)
            image, disparity = inpainting.FILLINGS["patches"](holed)
            image = torch.where(holed.known > 0, holed.image, image)
            rows.append(inpainting.figures(image, disparity, pair, 1 - holed.known))
            made.append(plain_image(image.clamp(0, 1)))
        found = surfaces.measure((240, 320), 5.0, (35,), "right")
        rows.append({name: found[name] for name in ("seen_through", "missed", "points")})
        for before, path in zip(self.scenes, self.paths, strict=False):
            scene = Scene(before.image, before.disparity, before.focal_px, before.baseline)
            scene.close_surfaces(path.views(scene.size))
            for pose in path.inpainting_poses():
                scene.inpaint(FarSide(), pose.shift, pose.focal_px, None, pose.lens, path.shows)
            made += [scene.render(**path.view(t, scene.size))[0] for t in (0, 1)]
        return means(rows), made

    def shown(self):
        """Films for two eyes, and the depth of a view."""
        from utils.scene import ViewDepth, lay_out

        made = []
        scene, path = self.scenes[0].copy(), self.paths[0]
        view = lay_out(scene, path, "sbs")
        made += [view.render(**path.view(t, scene.size))[0] for t in (0, 1)]
        made.append(as_grey(ViewDepth(scene).render(**path.view(1, scene.size))[0]))
        return {}, made


# --- trials --------------------------------------------------------------------------------------
class Trials:
    """Stages, and what they give as the code is."""

    def __init__(self, data):
        """Run every stage once."""
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        self.stages, self.known = Stages(data), {}

    def usual(self, stage):
        """(figures, arrays) of a stage as the code is."""
        if stage not in self.known:
            self.known[stage] = getattr(self.stages, stage)()
        return self.known[stage]

    def value(self, number):
        """The value of a Number, as the code has it."""
        return getattr(importlib.import_module(module_of(number)), number.name)

    def moved(self, number, factor, stages):
        """{figure: how much it moves} with a Number at so many times its value; "picture" among.

        In a process of its own; {"error": what} where the code does not run with it.
        """
        for stage in stages:
            self.usual(stage)
        imports(len(loaded()))  # once, not in every child
        begin, end = os.pipe()
        child = os.fork()
        if not child:
            os.close(begin)
            with os.fdopen(end, "w") as answer:
                try:
                    signal.alarm(MOST_S)
                    found = self._moved(number, factor, stages)
                except Exception as error:
                    found = {"error": f"{type(error).__name__}: {error}"[:200]}
                json.dump(found, answer)
                answer.flush()
            os._exit(0)
        os.close(end)
        with os.fdopen(begin) as answer:
            told = answer.read()
        os.waitpid(child, 0)
        return json.loads(told) if told else {"error": "ended"}

    def _moved(self, number, factor, stages):
        """As `moved`, in this process."""
        set_number(module_of(number), number.name, scaled(self.value(number), factor))
        found, apart = {}, [0.0]
        for stage in stages:
            usual, before = self.known[stage]
            figures, after = getattr(self.stages, stage)()
            for name in usual:
                found[f"{stage}.{name}"] = figures.get(name, math.nan) - usual[name]
            for one, other in zip(before, after, strict=True):
                if one.shape == other.shape:
                    apart.append(float(np.abs(one.astype(np.float64) - other).mean()))
                else:
                    apart.append(255.0)
        found = {name: value for name, value in found.items() if value}
        return found | {"picture": max(apart)}


def module_of(number):
    """Name of a Number's module."""
    return number.file.removesuffix(".py").replace("/", ".")
