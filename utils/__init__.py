"""The rooms between the networks and the command lines; each package says what lives there."""

__version__ = "0.2.0"


class UsageError(ValueError):
    """Flags that contradict each other or do not fit the photo: exit status 2."""
