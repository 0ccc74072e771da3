"""Claims: who gets which line, once, in which order, and what a lost lease may still do."""

import threading
import uuid

from sqlalchemy import text

from core.claims import Outcome, claim_lines
from core.errors import OutOfMemory
from core.transcription import Alternative, Decoding, Transcription
from core.words import LineStatus, Priority
from tests.integration.core.scenario import MODEL, Scenario, at_once, outcome_of
from tests.invariants import check_invariants


def test_a_claimed_line_brings_all_that_its_reader_needs(scenario: Scenario, client_id: uuid.UUID) -> None:
    decoding = Decoding(num_beams=4, n_best=2, max_new_tokens=9)
    job_id = scenario.submit(client_id, [b"Okafor"], decoding=decoding, review_threshold=0.5)

    (line,) = scenario.claim()

    assert (line.job_id, line.index, line.attempt, line.image) == (job_id, 0, 1, b"Okafor")
    assert (line.decoding, line.review_threshold) == (decoding, 0.5)
    assert line.submitted_at == scenario.job(job_id).created_at


def test_the_first_claim_starts_the_job_and_names_the_revision(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    assert scenario.job(job_id).status == "queued"

    scenario.claim(1)
    started_at = scenario.job(job_id).started_at
    scenario.claim(1)

    job = scenario.job(job_id)
    assert (job.status, job.model_revision) == ("running", "r1")
    assert job.started_at == started_at is not None


def test_a_claim_takes_no_more_lines_than_its_limit(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 20)

    sizes = [len(scenario.claim(8)) for _ in range(4)]

    assert sizes == [8, 8, 4, 0]


def test_one_batch_holds_lines_of_many_jobs(scenario: Scenario, client_id: uuid.UUID) -> None:
    jobs = [scenario.submit(client_id, 1) for _ in range(5)]

    assert [line.job_id for line in scenario.claim(8)] == jobs


def test_lines_of_another_model_are_left_alone(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 1, model="another")

    assert scenario.claim() == []
    assert len(scenario.claim(model="another")) == 1


def test_urgent_lines_go_first_whenever_they_came(scenario: Scenario, client_id: uuid.UUID) -> None:
    bulk, default, interactive = (
        scenario.submit(client_id, 2, priority=priority)
        for priority in (Priority.BULK, Priority.DEFAULT, Priority.INTERACTIVE)
    )

    order = [line.job_id for line in scenario.claim(6)]

    assert order == [interactive] * 2 + [default] * 2 + [bulk] * 2


def test_the_lines_of_a_job_are_read_in_order(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 30)

    assert [line.index for line in scenario.claim(16)] == list(range(16))


def test_a_line_whose_worker_died_is_claimed_alone(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 3)
    scenario.claim(2)
    scenario.expire_leases()
    scenario.recover()

    batches = [[line.index for line in scenario.claim(16)] for _ in range(4)]

    assert batches == [[0], [1], [2], []]


def test_ten_thousand_lines_are_claimed_once_each_by_competing_workers(
    scenario: Scenario, client_id: uuid.UUID
) -> None:
    """A40."""
    for _ in range(2):
        scenario.submit(client_id, 5_000)
    start = threading.Barrier(4)

    def work() -> list[list[tuple[uuid.UUID, int]]]:
        batches = []
        start.wait()
        while lines := scenario.claim(256):
            batches.append([line.key for line in lines])
        return batches

    batches = [batch for worker in at_once(*[work] * 4) for batch in worker]

    keys = [key for batch in batches for key in batch]
    assert max(map(len, batches)) <= 256
    assert len(keys) == len(set(keys)) == 10_000
    assert scenario.scalar("SELECT max(attempt) FROM lines") == 1


def test_workers_do_not_wait_for_each_others_claims(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 4)
    with scenario.sessions() as slow:
        slow.execute(text("SELECT FROM lines WHERE index < 2 FOR UPDATE"))

        assert [line.index for line in scenario.claim(4)] == [2, 3]


def test_a_claim_does_not_wait_for_a_job_that_somebody_holds(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    with scenario.sessions() as holder:
        holder.execute(text("SELECT FROM jobs FOR UPDATE"))

        lines = scenario.claim(2)
        holder.rollback()
    scenario.record(lines)

    job = scenario.job(job_id)
    assert job.status == "succeeded"
    assert job.started_at is not None


def test_a_late_result_of_a_lost_lease_is_dropped(scenario: Scenario, client_id: uuid.UUID) -> None:
    """A6."""
    job_id = scenario.submit(client_id, [b"one"])
    stopped = scenario.claim()
    scenario.expire_leases()
    scenario.recover()
    (line,) = scenario.claim()
    scenario.record([line])

    late = Outcome(stopped[0], Transcription("something else", 1.0, 1.0))
    dropped = scenario.record([late])

    assert dropped == 1
    check_invariants(scenario.sessions, {job_id: ["reading of one"]})


def test_a_late_result_is_dropped_while_the_line_is_being_read_again(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, [b"one"])
    stopped = scenario.claim()
    scenario.expire_leases()
    scenario.recover()
    current = scenario.claim()

    assert scenario.record([Outcome(stopped[0], Transcription("something else", 1.0, 1.0))]) == 1
    assert scenario.record(current) == 0
    check_invariants(scenario.sessions, {job_id: ["reading of one"]})


def test_a_late_result_does_not_hold_up_its_neighbours(scenario: Scenario, client_id: uuid.UUID) -> None:
    lost = scenario.submit(client_id, [b"lost"])
    kept = scenario.submit(client_id, [b"kept"])
    lines = scenario.claim()
    scenario.cancel(client_id, lost)

    assert scenario.record(lines) == 1
    check_invariants(scenario.sessions, {lost: ["reading of lost"], kept: ["reading of kept"]})


def test_recording_twice_changes_nothing(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 3)
    lines = scenario.claim()

    assert scenario.record(lines) == 0
    assert scenario.record(lines) == 3

    assert scenario.job(job_id).lines_succeeded == 3
    check_invariants(scenario.sessions, {job_id: [f"reading of line {index}" for index in range(3)]})


def test_the_same_line_twice_in_one_call_counts_once(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    first, _ = scenario.claim()

    assert scenario.record([first, first]) == 1
    assert scenario.job(job_id).lines_succeeded == 1


def test_nothing_to_record_is_harmless(scenario: Scenario, client_id: uuid.UUID) -> None:
    assert scenario.record([]) == 0


def test_a_renewed_lease_outlives_its_first_time(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 1)
    lines = scenario.claim(lease_seconds=0.001)

    scenario.renew(lines)

    assert scenario.recover().requeued == 0
    assert scenario.record(lines) == 0


def test_renewing_passes_over_leases_that_were_lost(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    lines = scenario.claim()
    scenario.record(lines[:1])
    scenario.expire_leases()
    scenario.recover()
    (again,) = scenario.claim(lease_seconds=5)
    before = scenario.lines(job_id)

    scenario.renew(lines, lease_seconds=500)

    after = scenario.lines(job_id)
    assert [line.lease_expires_at for line in after] == [line.lease_expires_at for line in before]
    assert after[1].attempt == again.attempt == 2


def test_renewing_waits_for_nobody(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 2)
    lines = scenario.claim(lease_seconds=0.001)
    with scenario.sessions() as holder:
        holder.execute(text("SELECT FROM lines WHERE index = 0 FOR UPDATE"))

        scenario.renew(lines)

    assert scenario.recover().requeued == 1


def test_a_released_line_is_queued_again_and_not_charged(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    lines = scenario.claim()

    scenario.release(lines)

    assert [(line.status, line.crash_attempts) for line in scenario.lines(job_id)] == [("queued", 0)] * 2
    again = scenario.claim()
    assert [line.attempt for line in again] == [2, 2]
    assert scenario.record(lines) == 2, "the first claim is over"
    assert scenario.record(again) == 0


def test_releasing_what_was_recorded_changes_nothing(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    lines = scenario.claim()
    scenario.record(lines)

    scenario.release(lines)

    assert scenario.job(job_id).status == "succeeded"


def test_a_line_can_fail_with_a_code(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 1)
    (line,) = scenario.claim()

    scenario.record([Outcome(line, OutOfMemory())])

    (stored,) = scenario.lines(job_id)
    assert (stored.status, stored.error_code, stored.text) == ("failed", "out_of_memory", None)
    assert stored.error_detail
    assert stored.finished_at is not None


def test_every_part_of_a_transcription_is_kept(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 1, review_threshold=0.8)
    (line,) = scenario.claim()
    alternatives = (Alternative("Okafor 1£", 0.7), Alternative("Okator", 0.2))

    scenario.record([Outcome(line, Transcription("Okafor 1£", 0.7, 0.6, alternatives, truncated=True))])

    (stored,) = scenario.lines(job_id)
    assert (stored.text, stored.confidence, stored.min_token_confidence) == ("Okafor 1£", 0.7, 0.6)
    assert stored.alternatives == [
        {"text": "Okafor 1£", "confidence": 0.7},
        {"text": "Okator", "confidence": 0.2},
    ]
    assert stored.truncated
    assert stored.needs_review
    assert stored.review_reasons == ["low_confidence", "truncated"]
    assert scenario.job(job_id).lines_needing_review == 1


def test_an_empty_transcription_is_a_success(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 1)
    (line,) = scenario.claim()

    scenario.record([Outcome(line, Transcription("", 0.9, 0.9))])

    assert scenario.job(job_id).status == "succeeded"
    assert scenario.lines(job_id)[0].text == ""


def test_a_text_that_postgres_cannot_hold_does_not_take_its_neighbours_down(
    scenario: Scenario, client_id: uuid.UUID
) -> None:
    job_id = scenario.submit(client_id, 2, review_threshold=0.5)
    odd, even = scenario.claim()
    nothing = float("nan")
    alternatives = (Alternative("a\0b\ud800", nothing), Alternative("c", 0.1))

    scenario.record([Outcome(odd, Transcription("a\0b\ud800", nothing, nothing, alternatives)), outcome_of(even)])

    stored = scenario.lines(job_id)
    assert [line.status for line in stored] == [LineStatus.SUCCEEDED] * 2
    assert stored[0].text == "ab�"
    assert stored[0].alternatives == [{"text": "ab�", "confidence": 0.0}, {"text": "c", "confidence": 0.1}]
    assert (stored[0].confidence, stored[0].min_token_confidence) == (0.0, 0.0)
    assert [line.needs_review for line in stored] == [True, False]


def test_an_image_is_forgotten_with_its_outcome_when_images_are_not_kept(
    scenario: Scenario, client_id: uuid.UUID
) -> None:
    job_id = scenario.submit(client_id, [b"one", b"damaged"])

    scenario.record(scenario.claim(), keep_images=False)

    assert scenario.scalar("SELECT count(*) FROM line_images") == 0
    check_invariants(scenario.sessions, {job_id: ["reading of one", None]}, keep_images=False)


def test_a_claim_of_another_model_revision_does_not_rewrite_the_first(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    scenario.claim(1)
    with scenario.sessions.begin() as session:
        claim_lines(session, model=MODEL, revision="r2", slot=uuid.uuid4(), limit=1, lease_seconds=30)

    assert scenario.job(job_id).model_revision == "r1"
