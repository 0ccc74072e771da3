import pytest

from worker.sandbox.limits import SandboxLimits


@pytest.mark.parametrize(
    ("width", "height", "is_allowed"),
    [
        (200, 40, True),
        (40, 200, True),
        (4, 4, True),
        (400, 4, True),
        (404, 4, False),
        (3, 200, False),
        (0, 0, False),
        (10_000, 100, True),
        (10_001, 200, False),
        (5000, 4000, True),
        (5000, 4001, False),
    ],
)
def test_a_line_image_has_sides_a_shape_and_an_area_within_the_limits(
    width: int, height: int, is_allowed: bool
) -> None:
    assert SandboxLimits().allows_dimensions(width, height) is is_allowed


def test_a_sandbox_without_time_is_refused() -> None:
    with pytest.raises(ValueError, match="needs time"):
        SandboxLimits(cpu_seconds=0)
    with pytest.raises(ValueError, match="requests_per_child"):
        SandboxLimits(requests_per_child=0)
