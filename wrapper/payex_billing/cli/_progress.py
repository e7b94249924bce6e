"""Show the progress of a long command: a bar in a terminal, one line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from .._text import counted
from ._log import log

Show: TypeAlias = Callable[[str, int, int], None]
EVERY = 60.0  # seconds between two lines of text


class Lines:
    """Prints one line a minute on standard error.

    Args:
        now: a monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._phase = ""
        self._began = self._last = now()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Show how many rows or customers are done, if a minute has passed."""
        now = self._now()
        if phase != self._phase:
            self._phase, self._began = phase, now
        if now - self._last < EVERY:
            return
        self._last = now
        left = (total - done) * (now - self._began) / done if done else 0.0
        text = f"{phase}: {done:,} of {counted(total, _noun(phase))}, about {_duration(left)} left"
        log.say("progress", text, phase=phase, done=done, total=total, seconds_left=round(left))


def _noun(phase: str) -> str:
    """Return what a phase counts."""
    return "customer" if phase == "reading" else "row"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return "a minute" if minutes <= 1 else f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


@contextmanager
def progress() -> Iterator[Show]:
    """Yield a function to call with the phase, and the numbers of finished and of all rows or customers."""
    if log.is_json or log.is_quiet or not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console  # noqa: PLC0415 - loaded only when something is drawn
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text  # noqa: PLC0415

    class Speed(ProgressColumn):
        """Rows or customers a second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:,.0f} {_noun(task.description)}s/s")

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, int] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=total)
            bar.update(tasks[phase], completed=done, total=total)  # type: ignore[arg-type]

        yield show
