"""One photo as a point cloud: surfaces, rims, filling, two eyes, the matte, depth of views."""

import lazy_loader

# What others use; a module is loaded when the first of its names is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cloud": ["Scene", "scale_disparity"],
        "edges": ["surface_mask"],
        "filling": ["far_guesses", "fill_from_far"],
        "making": ["grow", "lift"],
        "matte": ["Matte"],
        "patches": ["add_texture"],
        "rules": ["FarSide"],
        "small": ["lifted", "small_scene"],
        "stereo": ["StereoScene", "lay_out", "matte_of"],
        "surface": ["connected"],
        "view_depth": ["ViewDepth"],
    },
)
