"""What `inkpost read` and `inkpost demo` say to a running service, over its public HTTP contract."""

import base64
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import BaseModel

from cli.failure import CommandFailed

PATIENCE_SECONDS = 60.0  # how long a service that does not answer is asked again
WAIT_SECONDS = 20  # of one long-poll


class LineError(BaseModel):
    """Why a line was not read."""

    code: str
    detail: str | None = None


class LineAnswer(BaseModel):
    """A line of a job, as the service answers; fields that we do not use are left out."""

    index: int
    status: str
    text: str | None = None
    confidence: float | None = None
    needs_review: bool = False
    error: LineError | None = None


class Counts(BaseModel):
    """How many lines a job has, and how they ended."""

    total: int
    succeeded: int
    failed: int
    canceled: int

    @property
    def finished(self) -> int:
        """Lines that have an outcome."""
        return self.succeeded + self.failed + self.canceled


class JobAnswer(BaseModel):
    """A job, as the service answers."""

    id: str
    status: str
    counts: Counts
    lines: list[LineAnswer] = []

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status not in {"queued", "running"}


@dataclass(frozen=True, slots=True)
class NamedImage:
    """A line image to submit."""

    name: str
    data: bytes


class ServiceClient:
    """Talks to one service with one key; asks again when the service says that it is busy or does not answer."""

    def __init__(self, url: str, api_key: str) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers={"Authorization": f"Bearer {api_key}"}, timeout=httpx.Timeout(60.0)
        )
        self._url = url

    def submit(self, images: Sequence[NamedImage], *, model: str | None = None) -> JobAnswer:
        """Submit one job; sent again after a fault it is still one job, by its idempotency key."""
        body: dict[str, Any] = {"lines": [{"image": base64.b64encode(image.data).decode()} for image in images]}
        if model:
            body["model"] = model
        names = [image.name for image in images]
        answer = self._call("POST", "/v1/jobs", names, json=body, headers={"Idempotency-Key": str(uuid.uuid4())})
        return JobAnswer.model_validate_json(answer.content)

    def wait(self, job_id: str, *, seconds: int = WAIT_SECONDS) -> JobAnswer:
        """Return the job once it has finished, or as it is after some seconds."""
        return JobAnswer.model_validate_json(
            self._call("GET", f"/v1/jobs/{job_id}", params={"wait": str(seconds)}).content
        )

    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has finished meanwhile stays."""
        try:
            self._http.post(f"/v1/jobs/{job_id}/cancel", timeout=5.0)
        except httpx.TransportError as error:
            raise CommandFailed(f"{self._url} does not answer; job {job_id} goes on.") from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Nothing to open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def _call(self, method: str, path: str, names: Sequence[str] = (), **request: Any) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = 0.2
        while True:
            try:
                response = self._http.request(method, path, **request)
            except httpx.UnsupportedProtocol as error:
                raise CommandFailed(f"{self._url} is not an http:// or https:// URL.") from error
            except httpx.TransportError as error:
                if isinstance(error, httpx.ConnectError) or time.monotonic() > deadline:
                    raise CommandFailed(f"{self._url} does not answer: {error or type(error).__name__}") from error
            else:
                if response.status_code < 400:
                    return response
                if response.status_code not in {409, 429, 502, 503} or time.monotonic() > deadline:
                    raise CommandFailed(explain(response, names))
                pause = max(pause, _seconds(response.headers))
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(5.0, pause * 2)


def explain(response: httpx.Response, names: Sequence[str] = ()) -> str:
    """Return the service's refusal as one line, with the names of the images that it points to."""
    try:
        problem = response.json()
        errors = problem.get("errors") or []
        first = errors[0] if errors else problem
        detail, pointer = str(first["detail"]), str(first.get("pointer", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"The service answered {response.status_code} to {response.request.method} {response.request.url}."
    place = pointer.split("/")
    if len(place) > 2 and place[1] == "lines" and place[2].isdigit() and int(place[2]) < len(names):
        detail = f"{names[int(place[2])]}: {detail}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{detail}{more} [{problem.get('code', response.status_code)}]"


def _seconds(headers: Mapping[str, str]) -> float:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0
