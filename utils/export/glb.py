"""The scene as binary glTF 2.0: textured meshes in layers, and the film's camera, animated.

x is right, y up, z towards the viewer; the nearest point of the photo is one unit away. What a
lens does to the film, zoom and shift, is done by the nodes that the scene hangs on; see
utils.export.lens. Colours are final, so materials are unlit.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from utils.export.layers import scene_layers
from utils.export.lens import CHAIN, lens_tracks
from utils.export.poses import film_poses

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from utils.camera.path import CameraPath
    from utils.scene.cloud import Scene

UNLIT = "KHR_materials_unlit"
NEAREST, FARTHEST = 0.01, 1000.0  # of what the camera shows; the farthest surface is at 200
LENS_NOTE = (
    "The film's lens zooms and shifts, which a glTF camera cannot. The nodes from 'lens' to "
    "'scene' do it to the scene instead: what is to be filmed with it becomes a child of 'scene'. "
    "K has focal length, cx and cy of every frame, px, as in OpenCV."
)


def write(path: Path, scene: Scene, camera_path: CameraPath, plan: Any, settings: Any) -> None:
    """Write meshes, camera and its animation.

    Args: see utils.export.table.
    """
    import pygltflib as gltf

    poses = film_poses(scene, camera_path, plan, settings)
    file = _File()
    layers = [file.add_layer(layer) for layer in scene_layers(scene)]
    names = ["camera", *CHAIN]
    first = len(layers)
    tracks = lens_tracks(poses, plan.view_size)
    nodes = file.document.nodes
    for number, name in enumerate(names):
        still = {key: values[0].tolist() for key, values in tracks[name].items()}
        inner = [first + number + 1] if name in CHAIN[:-1] else []
        nodes.append(gltf.Node(name=name, children=layers if name == CHAIN[-1] else inner, **still))
    nodes[first].camera = 0
    nodes[first].extras = {
        "note": LENS_NOTE,
        "width": plan.view_size[1],
        "height": plan.view_size[0],
        "fps": float(settings.fps),
        "K": [[pose.focal_px, *pose.center] for pose in poses],
    }
    file.document.cameras.append(_camera(poses[0], plan.view_size))
    file.add_animation(
        {first + number: tracks[name] for number, name in enumerate(names)}, float(settings.fps)
    )
    file.document.scenes.append(gltf.Scene(nodes=[first, first + 1]))
    file.save(path)


def _camera(pose, size):
    import pygltflib as gltf

    height, width = size
    perspective = gltf.Perspective(
        yfov=2 * math.atan(height / 2 / pose.focal_px),
        aspectRatio=width / height,
        znear=NEAREST,
        zfar=FARTHEST,
    )
    return gltf.Camera(name="film", type="perspective", perspective=perspective)


def _as_small(numbers):
    """Numbers of vertices in 16 bits, where they fit; 65535 is none (glTF 2.0, 3.7.2.1)."""
    return numbers.astype(np.uint16) if numbers.max() < 65535 else numbers


class _File:
    """A document and its one buffer, growing."""

    def __init__(self) -> None:
        import pygltflib

        self.gltf: Any = pygltflib
        self.document = pygltflib.GLTF2(
            asset=pygltflib.Asset(version="2.0", generator="3D Ken Burns"),
            scene=0,
            extensionsUsed=[UNLIT],
        )
        self.document.samplers.append(
            pygltflib.Sampler(
                magFilter=pygltflib.LINEAR,
                minFilter=pygltflib.LINEAR,
                wrapS=pygltflib.CLAMP_TO_EDGE,
                wrapT=pygltflib.CLAMP_TO_EDGE,
            )
        )
        self.parts: list[bytes] = []
        self.length = 0

    def add_layer(self, layer: Any) -> int:
        """Add a Layer as a node; return its number."""
        gltf, document = self.gltf, self.document
        material = gltf.Material(
            name=layer.name,
            doubleSided=True,
            alphaMode="BLEND" if layer.picture.shape[2] == 4 else "OPAQUE",
            pbrMetallicRoughness=gltf.PbrMetallicRoughness(
                baseColorTexture=gltf.TextureInfo(index=self._add_picture(layer.picture)),
                metallicFactor=0,
                roughnessFactor=1,
            ),
            extensions={UNLIT: {}},
        )
        document.materials.append(material)
        primitive = gltf.Primitive(
            attributes=gltf.Attributes(
                POSITION=self._add_numbers(layer.positions, gltf.VEC3, gltf.ARRAY_BUFFER),
                # Not in 16 bits as shares of 65535: glTF has them, and trimesh does not heed it.
                TEXCOORD_0=self._add_numbers(layer.texture, gltf.VEC2, gltf.ARRAY_BUFFER),
            ),
            indices=self._add_numbers(
                _as_small(layer.triangles.reshape(-1)), gltf.SCALAR, gltf.ELEMENT_ARRAY_BUFFER
            ),
            material=len(document.materials) - 1,
        )
        document.meshes.append(gltf.Mesh(name=layer.name, primitives=[primitive]))
        document.nodes.append(gltf.Node(name=layer.name, mesh=len(document.meshes) - 1))
        return len(document.nodes) - 1

    def add_animation(self, tracks: dict[int, Any], fps: float) -> None:
        """Add {node: {property: (F, 3 or 4)}} as an animation of F frames."""
        gltf = self.gltf
        frames = len(next(iter(next(iter(tracks.values())).values())))
        times = self._add_numbers((np.arange(frames) / fps).astype(np.float32), gltf.SCALAR)
        animation = gltf.Animation(name="film")
        for node, moved in tracks.items():
            for what, values in moved.items():
                kind = gltf.VEC4 if what == "rotation" else gltf.VEC3
                output = self._add_numbers(values.astype(np.float32), kind)
                animation.samplers.append(gltf.AnimationSampler(input=times, output=output))
                animation.channels.append(
                    gltf.AnimationChannel(
                        sampler=len(animation.samplers) - 1,
                        target=gltf.AnimationChannelTarget(node=node, path=what),
                    )
                )
        self.document.animations.append(animation)

    def save(self, path: Path) -> None:
        """Write all of it."""
        self.document.buffers.append(self.gltf.Buffer(byteLength=self.length))
        self.document.set_binary_blob(b"".join(self.parts))
        path.write_bytes(b"".join(self.document.save_to_bytes()))

    def _add_bytes(self, content, target=None):
        """Return the number of a new buffer view; each begins at a multiple of four."""
        view = self.gltf.BufferView(
            buffer=0, byteOffset=self.length, byteLength=len(content), target=target
        )
        padding = b"\0" * (-len(content) % 4)
        self.parts += [content, padding]
        self.length += len(content) + len(padding)
        self.document.bufferViews.append(view)
        return len(self.document.bufferViews) - 1

    def _add_numbers(self, values, kind, target=None):
        """Return the number of a new accessor of float32, uint16 or uint32."""
        gltf, rows = self.gltf, values.reshape(len(values), -1)
        kinds = {"f": gltf.FLOAT, "H": gltf.UNSIGNED_SHORT, "I": gltf.UNSIGNED_INT}
        accessor = gltf.Accessor(
            bufferView=self._add_bytes(np.ascontiguousarray(values).tobytes(), target),
            componentType=kinds[values.dtype.char],
            count=len(values),
            type=kind,
            min=rows.min(axis=0).tolist(),
            max=rows.max(axis=0).tolist(),
        )
        self.document.accessors.append(accessor)
        return len(self.document.accessors) - 1

    def _add_picture(self, picture):
        """Return the number of a new texture, kept as PNG: nothing is lost."""
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, "PNG", compress_level=3)
        gltf, document = self.gltf, self.document
        view = self._add_bytes(encoded.getvalue())
        document.images.append(gltf.Image(bufferView=view, mimeType="image/png"))
        document.textures.append(gltf.Texture(sampler=0, source=len(document.images) - 1))
        return len(document.textures) - 1
