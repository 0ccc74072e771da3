"""What `inkpost read`, `template` and `demo` say to a running service, over its public HTTP contract."""

import base64
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from cli.failure import CommandFailed

PATIENCE_SECONDS = 60.0  # how long a service that does not answer is asked again
WAIT_SECONDS = 20  # of one long-poll


class LineError(BaseModel):
    """Why a line was not read, or a job has failed."""

    code: str
    detail: str | None = None


class LineAnswer(BaseModel):
    """A line of a job, as the service answers; fields that we do not use are left out."""

    index: int
    custom_id: str | None = None
    page: int | None = None
    status: str
    source: str = "recognised"
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
    error: LineError | None = None
    lines: list[LineAnswer] = []

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status not in {"queued", "running"}


class TemplateAnswer(BaseModel):
    """A template, as the service answers."""

    name: str
    cut: str
    pages: str | None = None
    regions: list[dict[str, Any]] | None = None


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

    def submit(self, images: Sequence[NamedImage], *, model: str | None = None, with_names: bool = False) -> JobAnswer:
        """Submit one job; sent again after a fault it is still one job, by its idempotency key.

        `with_names` gives each line the name of its image as its custom_id.
        """
        lines = [{"image": base64.b64encode(image.data).decode()} for image in images]
        if with_names:
            lines = [{**line, "custom_id": image.name} for line, image in zip(lines, images, strict=True)]
        body: dict[str, Any] = {"lines": lines}
        if model:
            body["model"] = model
        names = [image.name for image in images]
        answer = self._call("POST", "/v1/jobs", names, json=body, headers={"Idempotency-Key": str(uuid.uuid4())})
        return JobAnswer.model_validate_json(answer.content)

    def submit_form(self, pdf: bytes, document: Mapping[str, str], *, model: str | None = None) -> JobAnswer:
        """Submit a form PDF; `document` says how it is cut. It is one job, as with `submit`."""
        options: dict[str, Any] = {"document": document} | ({"model": model} if model else {})
        parts = {
            "pdf": ("form.pdf", pdf, "application/pdf"),
            "options": (None, json.dumps(options), "application/json"),
        }
        answer = self._call("POST", "/v1/jobs", files=parts, headers={"Idempotency-Key": str(uuid.uuid4())})
        return JobAnswer.model_validate_json(answer.content)

    def transcript(self, job_id: str, wanted: str) -> bytes:
        """Return the texts of a finished job in a format, waiting for a PDF to be made."""
        return self._call("GET", f"/v1/jobs/{job_id}/transcript", params={"format": wanted}).content

    def put_template(self, name: str, template: Mapping[str, Any]) -> TemplateAnswer:
        """Make or replace a template."""
        return TemplateAnswer.model_validate_json(
            self._call("PUT", f"/v1/templates/{quote(name, safe='')}", json=template).content
        )

    def template(self, name: str) -> TemplateAnswer:
        """Return a template."""
        return TemplateAnswer.model_validate_json(self._call("GET", f"/v1/templates/{quote(name, safe='')}").content)

    def templates(self) -> Iterator[TemplateAnswer]:
        """Yield all templates, by name."""
        cursor = None
        while True:
            page = self._call("GET", "/v1/templates", params={"cursor": cursor} if cursor else {}).json()
            yield from (TemplateAnswer.model_validate(each) for each in page["data"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def delete_template(self, name: str) -> None:
        """Delete a template."""
        self._call("DELETE", f"/v1/templates/{quote(name, safe='')}")

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
                # Only a conflict that passes by itself says when to ask again.
                is_passing = response.status_code in {429, 502, 503} or (
                    response.status_code == 409 and "Retry-After" in response.headers
                )
                if not is_passing or time.monotonic() > deadline:
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
