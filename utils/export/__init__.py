"""A scene and its camera as files that other programs open: --export, one exporter per suffix."""

import lazy_loader

# What others use; a module is loaded when the first of its names is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "index": ["write_index"],
        "table": ["EXPORTERS", "find_exporter", "write_exports"],
    },
)
