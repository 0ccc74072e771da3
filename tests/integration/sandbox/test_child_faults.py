"""The child dies, hangs, lies or eats; only the image it was at fails, and the parent never waits without end."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from core.errors import CorruptImage, DecodeTimeout, LineError, SandboxUnavailable
from tests.images import line_pixels, line_png, noise_png, transparent_png
from worker.line_image import LineImage
from worker.sandbox.image_sandbox import ImageSandbox
from worker.sandbox.limits import MIB, SandboxLimits

MISBEHAVING = "tests.integration.sandbox.misbehaving_decoder"
SHORT = SandboxLimits(cpu_seconds=0.2, wall_seconds=1.5)


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[ImageSandbox]:
    with ImageSandbox(SHORT, entry=MISBEHAVING) as sandbox:
        yield sandbox


def width_or_code(outcome: LineImage | LineError) -> int | str:
    return outcome.width if isinstance(outcome, LineImage) else outcome.code


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"crash", "corrupt_image"),
        (b"spin", "decode_timeout"),
        (b"hang", "decode_timeout"),
        (b"eat", "decode_timeout"),
        (b"announce_too_much", "corrupt_image"),
        (b"send_garbage", "corrupt_image"),
        (b"drip", "decode_timeout"),
        (b"close_the_pipe", "corrupt_image"),
        (b"answer_out_of_turn", "corrupt_image"),
        (b"say_nothing", "corrupt_image"),
        (b"unknown_verdict", "corrupt_image"),
        (b"lie_about_pixels:50,50,3,100", "corrupt_image"),
        (b"lie_about_pixels:50,50,4,10000", "corrupt_image"),
        (b"lie_about_pixels:0,0,3,0", "corrupt_image"),
        (b"lie_about_pixels:100000,100000,1,10", "corrupt_image"),
        (b"no_such_function", "corrupt_image"),
    ],
)
def test_a_child_that_fails_on_an_image_fails_only_that_image(
    misbehaving: ImageSandbox, request_: bytes, code: str
) -> None:
    # given: a bad image among good ones
    requests = [b"white:10", b"white:11", request_, b"white:12", b"white:13"]

    # when
    outcomes = misbehaving.decode(requests)

    # then
    assert [width_or_code(outcome) for outcome in outcomes] == [10, 11, code, 12, 13]


def test_an_answer_too_many_costs_no_image_its_own_answer(misbehaving: ImageSandbox) -> None:
    outcomes = misbehaving.decode([b"white:12", b"answer_twice", b"white:13", b"white:14"])

    # The extra answer cannot be told from the next image's own but by its number, so that image may fail with it.
    assert width_or_code(outcomes[0]) == 12
    assert width_or_code(outcomes[1]) == 10
    assert width_or_code(outcomes[2]) in {13, "corrupt_image"}
    assert width_or_code(outcomes[3]) == 14


def test_many_bad_images_in_a_row_leave_the_good_ones_alone(misbehaving: ImageSandbox) -> None:
    outcomes = misbehaving.decode([b"crash", b"crash", b"white:20", b"send_garbage", b"white:21", b"crash"])

    assert [width_or_code(outcome) for outcome in outcomes] == [
        "corrupt_image",
        "corrupt_image",
        20,
        "corrupt_image",
        21,
        "corrupt_image",
    ]


def test_a_child_killed_from_outside_costs_no_image(sandbox: ImageSandbox) -> None:
    # given: a child in the middle of its work
    images = [line_png(number) for number in range(400)]
    outcomes = sandbox.stream(images)
    seen = [next(outcomes)]
    assert sandbox.child is not None

    # when
    os.kill(sandbox.child.id, signal.SIGKILL)
    seen += outcomes

    # then: all are there, each in its place
    assert len(seen) == len(images)
    for number, outcome in enumerate(seen):
        assert isinstance(outcome, LineImage)
        assert (outcome.pixels == line_pixels(number)).all()


def test_an_idle_child_that_was_killed_is_replaced(sandbox: ImageSandbox) -> None:
    assert isinstance(sandbox.decode([line_png()])[0], LineImage)
    assert sandbox.child is not None
    os.kill(sandbox.child.id, signal.SIGKILL)

    outcomes = sandbox.decode([line_png(), line_png()])

    assert all(isinstance(outcome, LineImage) for outcome in outcomes)


def test_a_child_is_replaced_after_its_share_of_images_and_none_is_lost() -> None:
    with ImageSandbox(SandboxLimits(requests_per_child=4)) as sandbox:
        children = set()
        for number, outcome in enumerate(sandbox.stream(line_png(number) for number in range(10))):
            assert isinstance(outcome, LineImage)
            assert (outcome.pixels == line_pixels(number)).all()
            assert sandbox.child is not None
            children.add(sandbox.child.id)

    assert len(children) == 3


def test_an_image_that_does_not_fit_into_memory_fails_alone() -> None:
    with ImageSandbox(SandboxLimits(memory_bytes=160 * MIB)) as sandbox:
        good, bad, after = sandbox.decode([line_png(), transparent_png(4000, 4000), line_png()])

    assert isinstance(good, LineImage)
    assert isinstance(bad, DecodeTimeout)
    assert isinstance(after, LineImage)


def test_an_image_longer_than_the_limit_is_not_sent_to_the_child() -> None:
    with ImageSandbox(SandboxLimits(max_image_bytes=2000)) as sandbox:
        outcomes = sandbox.decode([b"x" * 2001, line_png(), b"x" * 2001])

    assert isinstance(outcomes[0], DecodeTimeout)
    assert isinstance(outcomes[1], LineImage)
    assert isinstance(outcomes[2], DecodeTimeout)


def test_pictures_larger_than_every_pipe_go_both_ways_at_once(sandbox: ImageSandbox) -> None:
    large = noise_png(1200, 1000, "RGB")  # some 3.6 MB there and 3.6 MB back, 1 MiB of pipe each way

    outcomes = sandbox.decode([large] * 8)

    assert [outcome.pixels.shape for outcome in outcomes if isinstance(outcome, LineImage)] == [(1000, 1200, 3)] * 8


def test_stopping_a_stream_early_leaves_the_sandbox_usable(sandbox: ImageSandbox) -> None:
    for _outcome in sandbox.stream(line_png(number) for number in range(300)):
        break

    (outcome,) = sandbox.decode([line_png("afterwards")])

    assert isinstance(outcome, LineImage)
    assert (outcome.pixels == line_pixels("afterwards")).all()


def test_a_stream_takes_no_more_images_ahead_than_it_can_hold(sandbox: ImageSandbox) -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield line_png()

    outcomes = sandbox.stream(endless())
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]

    assert len(taken) < 1000


def test_a_second_stream_at_the_same_time_is_refused(sandbox: ImageSandbox) -> None:
    first = sandbox.stream([line_png()] * 3)
    next(first)

    with pytest.raises(RuntimeError, match="already decoding"):
        sandbox.decode([line_png()])

    assert len(list(first)) == 2


def test_no_images_start_no_child() -> None:
    with ImageSandbox() as sandbox:
        assert sandbox.decode([]) == []
        assert sandbox.child is None


def test_a_sandbox_that_cannot_work_says_so_and_blames_no_image() -> None:
    # given: an entry module that fails while it prepares
    with (
        ImageSandbox(SandboxLimits(requests_per_child=13), entry=MISBEHAVING) as sandbox,
        pytest.raises(SandboxUnavailable, match="no decoder today"),
    ):
        sandbox.decode([b"white:10"])


def test_a_closed_sandbox_starts_again(sandbox: ImageSandbox) -> None:
    sandbox.decode([line_png()])
    sandbox.close()
    sandbox.close()

    assert isinstance(sandbox.decode([line_png()])[0], LineImage)


def test_the_end_of_the_thread_that_started_the_child_does_not_end_the_child() -> None:
    with ImageSandbox() as sandbox:
        # given: a child started by a thread that is gone
        thread = threading.Thread(target=lambda: sandbox.decode([line_png()]))
        thread.start()
        thread.join()
        assert sandbox.child is not None
        child_id = sandbox.child.id

        # when
        outcomes = sandbox.decode([line_png()] * 5)

        # then
        assert not any(isinstance(outcome, CorruptImage) for outcome in outcomes)
        assert sandbox.child.id == child_id
