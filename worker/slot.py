"""A worker slot: what a Celery main process and the children it forks, one after another, know of each other.

The slot's id outlives a child, so that a new child can take over what its dead predecessor held. One shared byte tells
the child that the process should end, and the parent why it ended.
"""

import mmap
import os
import signal
import uuid
from enum import IntEnum

EXIT_BROKEN = 70  # EX_SOFTWARE: a supervisor should start a new process
EXIT_UNUSABLE = 78  # EX_CONFIG: a new process would fail in the same way


class SlotState(IntEnum):
    """What the shared byte says."""

    OPEN = 0
    DRAINING = 1  # finish the batch in hand, claim nothing more
    BROKEN = 2  # the child cannot go on; the parent exits with EXIT_BROKEN
    UNUSABLE = 3  # the child could not even start; the parent exits with EXIT_UNUSABLE


class Slot:
    """Made by the parent before it forks."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self._byte = mmap.mmap(-1, 1)  # anonymous and shared with children

    @property
    def state(self) -> SlotState:
        """What the parent or a child said last."""
        return SlotState(self._byte[0])

    @property
    def is_open(self) -> bool:
        """Whether more work may be begun."""
        return self.state is SlotState.OPEN

    def drain(self) -> None:
        """Parent: let the child finish what it has in hand."""
        if self.is_open:
            self._byte[0] = SlotState.DRAINING

    def give_up(self, state: SlotState) -> None:
        """Child: end the whole worker, because a new child of the same parent would fare no better."""
        self._byte[0] = state
        os.kill(os.getppid(), signal.SIGTERM)

    def exit_code(self, code: int) -> int:
        """Return the exit code of the parent, given the one that Celery suggests."""
        return {SlotState.BROKEN: EXIT_BROKEN, SlotState.UNUSABLE: EXIT_UNUSABLE}.get(self.state, code)
