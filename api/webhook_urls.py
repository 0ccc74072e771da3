"""Checks the URLs that clients name, and remembers for a moment which were good: a job may come many times a second."""

import time
from collections import OrderedDict

from core.settings import Webhooks
from core.webhooks.registration import check_url
from core.webhooks.resolving import Resolver, create_resolver

_REMEMBERED = 1_024
_REMEMBERED_SECONDS = 60.0
_LOOK_UP_SECONDS = 2.0


class WebhookUrls:
    """Safe to share between threads: at worst a URL is checked twice."""

    def __init__(self, policy: Webhooks, resolve: Resolver | None = None) -> None:
        self._policy = policy
        self._resolve = resolve or create_resolver(policy)
        self._good: OrderedDict[str, float] = OrderedDict()

    def check(self, url: str, pointer: str) -> None:
        """Return when the URL may be used.

        Raises:
            InvalidRequest: it may not; the fault is at `pointer`.
        """
        checked_at = self._good.get(url)
        if checked_at is not None and time.monotonic() - checked_at < _REMEMBERED_SECONDS:
            return
        check_url(url, self._policy, self._resolve, pointer=pointer, timeout_seconds=_LOOK_UP_SECONDS)
        self._good[url] = time.monotonic()
        while len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
