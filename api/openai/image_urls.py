"""Fetches the images that a call names by URL, where the operator allows it, through the guard of the webhooks."""

import http.client
import ssl
import threading
from collections.abc import Sequence

import structlog

from core.base64_data import BadUpload
from core.base64_images import Image, check_image
from core.errors import Fault, Overloaded
from core.image_headers import ACCEPTED_MEDIA_TYPES
from core.openai.wishes import Picture, refuse_images
from core.settings import Settings
from core.webhooks.exchanges import Connector, exchange
from core.webhooks.resolving import NameNotFound, Resolver, create_resolver
from core.webhooks.timed_sockets import Deadline
from core.webhooks.urls import NOT_ALLOWED, Target, UrlNotAllowed, parse_url

log = structlog.get_logger(__name__)
_HEAD_BYTES = 64 * 1024
_HEADERS = {"User-Agent": "inkpost-images/1", "Accept": ", ".join(ACCEPTED_MEDIA_TYPES)}


class ImageUrls:
    """One process's fetching of images; safe to share between threads."""

    def __init__(self, settings: Settings, resolve: Resolver | None = None) -> None:
        self._limits, self._own, self._policy = settings.limits, settings.openai, settings.webhooks
        self._connector = (
            Connector(self._policy, resolve or create_resolver(self._policy)) if self._own.fetch_images else None
        )
        # Fetching waits for strangers' servers: an eighth of the threads at most, so that others are served.
        self._free = threading.BoundedSemaphore(max(1, settings.api.threads // 8))

    @property
    def is_allowed(self) -> bool:
        """Tell whether images are fetched at all."""
        return self._connector is not None

    def fetch(self, pictures: Sequence[Picture]) -> Sequence[Image]:
        """Return the images behind the URLs, all within one budget of time; the first failure ends it.

        Raises:
            InvalidRequest: a URL is refused, or its image could not be fetched or is not acceptable.
            Overloaded: enough calls of this process fetch already.
        """
        most = self._own.max_fetched_images
        if len(pictures) > most:
            refuse_images([Fault(pictures[most].pointer, f"At most {most} images of a call are fetched.", "too_many")])
        if not self._free.acquire(blocking=False):
            raise Overloaded("Too many calls fetch images already. Send the same again.")
        try:
            return self._fetch_all(pictures, Deadline(self._own.fetch_seconds))
        finally:
            self._free.release()

    def _fetch_all(self, pictures: Sequence[Picture], whole: Deadline) -> Sequence[Image]:
        images: list[Image] = []
        bytes_left = self._limits.max_body_bytes  # what the call could have sent in its body at most
        for picture in pictures:
            try:
                data = self._fetch(picture.encoded, whole, min(bytes_left, self._limits.max_image_bytes))
                images.append(check_image(data, None, self._limits))
            except BadUpload as bad:
                refuse_images([Fault(picture.pointer, bad.detail, bad.code)])
            else:
                bytes_left -= len(data)
        return images

    def _fetch(self, url: str, whole: Deadline, most_bytes: int) -> bytes:
        try:
            target = parse_url(url, self._policy)
        except UrlNotAllowed as error:
            raise BadUpload("image_url_not_allowed", str(error)) from error
        try:
            return self._read(target, whole, most_bytes)
        except (UrlNotAllowed, NameNotFound) as error:
            raise _failed(target, error, NOT_ALLOWED, "image_url_not_allowed") from error
        except TimeoutError as error:
            raise _failed(target, error, "The image did not arrive in time.") from error
        except ssl.SSLError as error:
            raise _failed(target, error, "The image's server could not prove its name under TLS.") from error
        except (OSError, http.client.HTTPException) as error:
            raise _failed(target, error, "The image's server could not be reached or does not speak HTTP.") from error

    def _read(self, target: Target, whole: Deadline, most_bytes: int) -> bytes:
        assert self._connector is not None  # noqa: S101 - nobody fetches where it is not allowed
        with (
            self._connector.connect(target, whole, most_bytes + _HEAD_BYTES) as own,
            exchange(own, target, "GET", _HEADERS) as response,
        ):
            _refuse_answer(response)
            data = bytearray()
            is_too_large = response.length is not None and response.length > most_bytes
            while not is_too_large and (chunk := response.read1(64 * 1024)):
                data += chunk
                is_too_large = len(data) > most_bytes
            if is_too_large or own.budget.bytes_left <= 0:
                raise BadUpload("image_too_large", self._size_rule(most_bytes))
            if response.length:
                raise BadUpload("image_not_fetched", "The image's server ended before the image did.")
            return bytes(data)

    def _size_rule(self, most_bytes: int) -> str:
        if most_bytes < self._limits.max_image_bytes:
            return f"The fetched images of a call have at most {self._limits.max_body_bytes} bytes together."
        return f"An image has at most {most_bytes} bytes."


def _refuse_answer(response: http.client.HTTPResponse) -> None:
    """Refuse everything but an image as it is: no redirect, no failure, no compression."""
    if 300 <= response.status < 400:
        raise BadUpload(
            "image_not_fetched", "The image's server redirects, which is not followed; name the image itself."
        )
    if response.status != http.HTTPStatus.OK:
        raise BadUpload("image_not_fetched", f"The image's server answered with status {response.status}.")
    if response.getheader("Content-Encoding", "identity").strip().lower() != "identity":
        raise BadUpload("image_not_fetched", "The image's server compresses what was asked for as it is.")


def _failed(target: Target, error: Exception, detail: str, code: str = "image_not_fetched") -> BadUpload:
    """Tell the operator which host it was, never the path or the query, which may hold a signature."""
    log.info("image.not_fetched", host=target.host, code=code, cause=type(error).__name__)
    return BadUpload(code, detail)
