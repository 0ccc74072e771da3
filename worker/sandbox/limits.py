"""What a sandbox child may use, and what a line image or a document may measure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a child imports this module, and has no pydantic
    from core.settings import Settings

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Limits of one sandbox child. The image limits bear the names of the settings they come from.

    Attributes:
        cpu_seconds: Processor time for one request; the kernel ends the child that uses more.
        cpu_seconds_per_answer: What a request earns back with each of its answers, up to `cpu_seconds` at a time; of
            use only where a request has many.
        wall_seconds: Time on the clock for one answer; larger than `cpu_seconds`, so that a busy machine does not
            fail a good line, and only there for a child that hangs without computing.
        memory_bytes: Address space of the child; measured: 450 MiB for 20 million pixels of WebP.
        start_seconds: Time for a new child to import its libraries and report that it is confined.
        requests_per_child: A child is replaced after so many requests, so that a leak in a C library stays small.
        max_image_bytes: A longer file is not even sent to the child.
        min_image_side_pixels: Narrowest side of a line image; below it there is no ink.
        max_image_side_pixels: Longest side of a line image.
        max_image_pixels: Largest width times height; with it the parent bounds what an answer may allocate.
        max_aspect_ratio: Longest side over shortest; beyond it, not a line.
        system_call_filter: Install the seccomp filter; off only for a platform whose C library needs other calls.
    """

    cpu_seconds: float = 2.0
    cpu_seconds_per_answer: float = 0.0
    wall_seconds: float = 5.0
    memory_bytes: int = 512 * MIB
    start_seconds: float = 20.0
    requests_per_child: int = 5_000
    max_image_bytes: int = 32 * MIB
    min_image_side_pixels: int = 4
    max_image_side_pixels: int = 10_000
    max_image_pixels: int = 20_000_000
    max_aspect_ratio: float = 100.0
    system_call_filter: bool = True

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could ever be decoded."""
        if min(self.cpu_seconds, self.wall_seconds, self.start_seconds) <= 0:
            raise ValueError("a sandbox needs time: cpu_seconds, wall_seconds and start_seconds must be positive")
        if self.requests_per_child < 1:
            raise ValueError("requests_per_child must be at least 1")

    def allows_dimensions(self, width: int, height: int) -> bool:
        """Say whether a picture of this size, in pixels, can be a line image."""
        shortest, longest = sorted((width, height))
        return (
            shortest >= max(1, self.min_image_side_pixels)
            and longest <= self.max_image_side_pixels
            and width * height <= self.max_image_pixels
            and longest <= shortest * self.max_aspect_ratio
        )


@dataclass(frozen=True, slots=True)
class PdfLimits(SandboxLimits):
    """Limits of a child that cuts documents. Those of its base that begin with `max_image` hold for each cut line.

    Attributes:
        max_document_bytes: A longer document is not even sent to the child.
        max_pages: Most pages that are looked at.
        max_page_side_points: Longest side of a page as seen.
        max_lines: Most lines of a document.
        max_cut_bytes: Most bytes of all line images of a document together; bounds the parent's memory.
    """

    cpu_seconds: float = 20.0
    cpu_seconds_per_answer: float = 0.05
    wall_seconds: float = 60.0
    memory_bytes: int = 1024 * MIB
    requests_per_child: int = 100
    max_image_bytes: int = 8 * MIB
    max_document_bytes: int = 40 * MIB
    max_pages: int = 1_000
    max_page_side_points: float = 14_400.0
    max_lines: int = 10_000
    max_cut_bytes: int = 512 * MIB


def pdf_limits(settings: "Settings") -> PdfLimits:
    """Return the limits of a child that cuts documents as the operator wants them."""
    limits, documents = settings.limits, settings.documents
    return PdfLimits(
        cpu_seconds=documents.cpu_seconds,
        wall_seconds=documents.wall_seconds,
        memory_bytes=documents.memory_mib * MIB,
        max_image_bytes=limits.max_image_bytes,
        min_image_side_pixels=limits.min_image_side_pixels,
        max_image_side_pixels=limits.max_image_side_pixels,
        max_image_pixels=limits.max_image_pixels,
        max_aspect_ratio=limits.max_aspect_ratio,
        max_document_bytes=limits.max_document_bytes,
        max_pages=limits.max_pages,
        max_page_side_points=limits.max_page_side_points,
        max_lines=limits.max_lines,
        max_cut_bytes=documents.max_cut_mib * MIB,
    )
