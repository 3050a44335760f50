"""The command lines: flags and settings, presets, the plan of a photo, jobs, reports, a cluster."""
