"""Wait on a condition with a deadline; never sleep and hope."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

Value = TypeVar("Value")


def eventually(check: Callable[[], Value], timeout_seconds: float = 60.0, message: str = "it never happened") -> Value:
    """Call `check` until it returns something true, and return that.

    An exception of the last try is the cause of the failure; earlier ones are forgotten.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        failure: Exception | None = None
        value = None
        try:
            value = check()
        except Exception as error:  # noqa: BLE001 - whatever is wrong now may be right in a moment
            failure = error
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{message} (waited {timeout_seconds:g} s; last seen: {failure or value!r})")
        time.sleep(0.02)
