"""What several films of one photo have in common is made once: `--move left,orbit`, lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from utils.cli.jobs import Job


class Shared:
    """Keeps what was made for a film for the next one, as long as that is of the same photo."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._kept: dict[str, tuple[Any, Any]] = {}

    def once(self, job: Job, what: str, made_of: Any, make: Callable[[], Any]) -> Any:
        """Return make(), or what it returned for the film before, if that was made of the same.

        Args:
            job: the film; without `more` of its photo nothing is kept for the next.
            what: a word for it.
            made_of: all that it depends on; compared with ==.
            make: function that makes what nobody changes afterwards.
        """
        before, value = self._kept.pop(what, (None, None))
        if before != made_of:
            value = None  # or two would be in memory
            value = make()
        if job.more:
            self._kept[what] = made_of, value
        return value
