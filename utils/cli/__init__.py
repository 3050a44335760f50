"""The command lines: flags and settings, presets, the plan of a photo, jobs, reports, a cluster."""

import lazy_loader

# What others use; a module is loaded when the first of its names is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "batch": ["photos_ahead", "run_jobs"],
        "calls": ["film_one"],
        "cluster": ["over_cluster"],
        "jobs": ["Job", "prepare_folder"],
        "made": ["describe_film", "is_there"],
        "plan": [
            "describe_plan",
            "plan_path",
            "plan_photo",
            "shorten_path",
        ],
        "process": ["run_command"],
        "runs": ["plan_run"],
        "slideshow": ["film_slideshow"],
        "shared": ["Shared"],
        "reporting": ["Stopwatch", "hide_bar", "report_all", "tell_invention"],
    },
)
