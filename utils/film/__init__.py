"""Pictures in, films out: photos, frames, codecs, video and GIF files, the preview."""

import lazy_loader

# What others use; a module is loaded when the first of its names is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "codecs": ["CODECS", "CODECS_BY_SUFFIX"],
        "frames": ["film_frames", "film_length", "film_order", "frame_times", "write_film"],
        "lens": ["find_focal"],
        "music": ["check_music"],
        "parts": ["Parts", "read_parts"],
        "photos": ["as_bytes", "in_fours", "read_image", "read_size", "resize", "write_image"],
        "preview": ["Preview"],
        "slideshow": ["CrossFader"],
        "video": ["VideoWriter", "holds_frames", "read_metadata"],
    },
)
