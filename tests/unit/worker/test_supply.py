"""What a recogniser takes lines from: ahead of it, in rounds, and never beside a suspect."""

import datetime as dt
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.claims import ClaimedLine
from core.errors import RecognitionFailed, TransientError
from core.transcription import Decoding
from tests.waiting import eventually
from worker.line_image import LineImage
from worker.supply import Batch, Supply

PIXELS = LineImage(np.zeros((1, 1, 3), np.uint8))


def claimed(crashes: int = 0) -> ClaimedLine:
    return ClaimedLine(uuid.uuid4(), 0, 1, crashes, b"", Decoding(), None, dt.datetime.now(dt.UTC))


class Queue:
    """Lines to be claimed as `worker.ledger` claims them: a suspect alone and first."""

    def __init__(self) -> None:
        self.lines: list[ClaimedLine] = []
        self.asked: list[int] = []
        self.failure: Exception | None = None
        self.is_open = True
        self.gate = threading.Event()
        self.gate.set()
        self.prepared: list[Batch] = []
        self.given_back: list[ClaimedLine] = []

    def add(self, count: int, crashes: int = 0) -> list[ClaimedLine]:
        added = [claimed(crashes) for _ in range(count)]
        self.lines += added
        return added

    def give_back(self, lines: Sequence[ClaimedLine]) -> None:
        self.given_back += lines
        self.lines += lines

    def prepare(self, most: int) -> Batch:
        assert self.gate.wait(10)
        self.asked.append(most)
        if self.failure is not None:
            raise self.failure
        suspects = [line for line in self.lines if line.is_suspect]
        lines = suspects[:1] or self.lines[:most]
        self.lines = [line for line in self.lines if line not in lines]
        return Batch(lines, [(line, PIXELS) for line in lines], [], 0.0, 0.0)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def supply(queue: Queue) -> Iterator[Supply]:
    with ThreadPoolExecutor(1) as pool:
        yield Supply(
            prepare=queue.prepare,
            is_open=lambda: queue.is_open,
            on_prepared=queue.prepared.append,
            give_back=queue.give_back,
            most=4,
            ahead=2,
            pool=pool,
        )


def take(supply: Supply, most: int = 4, *, wait: bool = True) -> int:
    return len(supply.take(most, wait=wait))


def test_an_empty_queue_begins_no_round(queue: Queue, supply: Supply) -> None:
    assert not supply.begin_round()
    assert queue.asked == [2]


def test_a_lone_line_has_the_worker_to_itself(queue: Queue, supply: Supply) -> None:
    (line,) = queue.add(1)

    assert supply.begin_round()
    assert take(supply) == 1
    assert supply.finish(0) == line
    assert not supply.has_more
    assert queue.asked == [2]
    assert take(supply) == 0
    assert not supply.begin_round()


def test_reading_begins_with_a_few_lines_while_the_others_are_made_ready(queue: Queue, supply: Supply) -> None:
    lines = queue.add(9)
    queue.gate.set()
    supply.begin_round()
    queue.gate.clear()

    assert take(supply, wait=False) == 2
    assert supply.in_hand == lines[:2]
    queue.gate.set()
    assert take(supply) == 2
    assert queue.asked == [2, 4]  # those that may be taken, and two to be ready beside them


def test_no_more_lines_are_in_hand_than_were_allowed(queue: Queue, supply: Supply) -> None:
    queue.add(20)
    supply.begin_round()
    while supply.take(100, wait=True):
        pass

    assert len(supply.in_hand) == 4
    supply.finish(0)
    assert take(supply, 100) == 1
    assert len(supply.in_hand) == 4


def test_lines_that_come_while_others_are_read_join_them(queue: Queue, supply: Supply) -> None:
    queue.add(1)
    supply.begin_round()
    take(supply)
    queue.add(2)

    taken: list[int] = []

    def joined() -> bool:
        taken.append(take(supply, wait=False))
        return sum(taken) == 2

    eventually(joined, message="the newcomers were not looked for")
    assert len(supply.in_hand) == 3


def test_a_full_round_goes_on_until_nothing_is_queued(queue: Queue, supply: Supply) -> None:
    queue.add(11)
    supply.begin_round()

    read = 0
    while count := take(supply):
        for number in range(read, read + count):
            supply.finish(number)
        read += count

    assert read == 11
    assert not supply.begin_round()


def test_a_suspect_waits_for_all_others_and_is_read_with_nothing_beside_it(queue: Queue, supply: Supply) -> None:
    queue.add(2)
    supply.begin_round()
    queue.add(1, crashes=1)
    take(supply)
    eventually(lambda: len(queue.asked) == 2, message="nothing was claimed ahead")
    queue.add(3)
    for number in range(2):
        supply.finish(number)

    assert take(supply) == 0
    assert not supply.is_alone
    assert len(queue.given_back) == 1  # nobody else's crash may be charged to it
    assert supply.begin_round()
    assert supply.is_alone
    assert take(supply) == 1
    assert supply.in_hand[0].is_suspect
    assert queue.asked == [2, 4, 2]  # nothing was claimed beside it
    supply.finish(0)
    assert supply.begin_round()
    assert not supply.is_alone


@pytest.mark.parametrize("failure", [TransientError("away"), RuntimeError("no sandbox")])
def test_when_a_claim_fails_what_is_in_hand_is_read_all_the_same(
    queue: Queue, supply: Supply, failure: Exception
) -> None:
    queue.add(2)
    supply.begin_round()
    queue.failure = failure
    take(supply)

    for number in range(2):
        supply.finish(number)
    assert take(supply) == 0
    with pytest.raises(type(failure), match=str(failure)):
        supply.begin_round()
    supply.close()
    assert queue.given_back == []


def test_a_worker_that_is_to_end_reads_what_it_has_in_hand_and_gives_the_rest_back(
    queue: Queue, supply: Supply
) -> None:
    lines = queue.add(9)
    supply.begin_round()
    supply.take(1, wait=True)
    queue.is_open = False
    supply.finish(0)

    assert take(supply) == 0
    assert not supply.begin_round()
    supply.close()
    assert queue.given_back == lines[1:2]


def test_what_was_claimed_just_before_the_end_is_read(queue: Queue, supply: Supply) -> None:
    queue.add(1)
    supply.begin_round()
    queue.is_open = False

    assert take(supply) == 1


def test_a_batch_that_is_on_its_way_when_the_worker_ends_is_given_back_unread(queue: Queue, supply: Supply) -> None:
    lines = queue.add(6)
    supply.begin_round()
    queue.gate.clear()
    take(supply)
    queue.is_open = False
    queue.gate.set()
    for number in range(2):
        supply.finish(number)

    assert take(supply) == 0
    assert not supply.begin_round()
    supply.close()
    assert queue.given_back == lines[2:]


def test_a_suspect_that_was_never_taken_is_still_read_alone(queue: Queue, supply: Supply) -> None:
    queue.add(1, crashes=1)
    supply.begin_round()

    assert supply.begin_round()  # the recogniser failed before it took it
    assert supply.is_alone


def test_lines_that_a_recogniser_took_and_forgot_are_noticed(queue: Queue, supply: Supply) -> None:
    queue.add(2)
    supply.begin_round()
    take(supply)
    supply.finish(1)

    with pytest.raises(RecognitionFailed, match="1 lines"):
        supply.end_round()


def test_every_prepared_batch_is_told(queue: Queue, supply: Supply) -> None:
    queue.add(2)
    supply.begin_round()
    take(supply)
    for number in range(2):
        supply.finish(number)
    take(supply)

    assert [len(batch.lines) for batch in queue.prepared] == [2, 0]
