"""The contract between a plan and the runner.

The runner's checklist: 1 call `start`; 2 perform the commands in order; 3 wait for the next event or for
`next_deadline()`; 4 feed it; 5 when the client disconnects feed `ClientGone`, and keep performing until a terminal
command; 6 leaving the task group cancels what remains. After a terminal command nothing more is fed.

Modelled on aioquic: `now` is an argument, `next_deadline` a query, `on_deadline` an input, one timer in the shell.
"""

from collections.abc import Sequence
from typing import Protocol

from streamroute.core.execution.commands import Command
from streamroute.core.execution.events import AttemptEvent


class Plan(Protocol):
    """What to do next for one request. Pure; times are monotonic seconds of one clock."""

    def start(self, now: float) -> Sequence[Command]:
        """Return the first commands."""

    def handle(self, event: AttemptEvent, now: float) -> Sequence[Command]:
        """Return what to do about `event`. Events of attempts that are over are ignored."""

    def next_deadline(self) -> float | None:
        """Return when `on_deadline` must be called at the latest; None: only events matter."""

    def on_deadline(self, now: float) -> Sequence[Command]:
        """Return what to do about the time; called too early it does nothing."""
