"""Named places where a test can make the process kill itself. They do nothing unless the setting names them."""

import os
import signal

from core.settings import Settings


class Failpoints:
    """The failpoints of this process, each good for one death."""

    def __init__(self, settings: Settings) -> None:
        self._armed = {name.strip() for name in settings.failpoints.split(",") if name.strip()}

    def reach(self, name: str) -> None:
        """Die here, as by `kill -9`, when the failpoint is armed."""
        if name in self._armed:
            os.kill(os.getpid(), signal.SIGKILL)
