"""What a sandbox child may use, and what a line image may measure."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Limits of one sandbox child. The image limits bear the names of the settings they come from.

    Attributes:
        cpu_seconds: Processor time for one request; the kernel ends the child that uses more.
        wall_seconds: Time on the clock for one request; larger than `cpu_seconds`, so that a busy machine does not
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
