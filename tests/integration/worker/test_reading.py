"""A real worker on real servers reads lines with the fake recogniser."""

import json
from pathlib import Path

from core.jobs import cancel_job
from core.presence import served_models
from tests.integration.worker.conftest import Desk, picture
from tests.processes import WorkerProcess
from tests.waiting import eventually
from worker.recognizer.fake import OUT_OF_MEMORY_MARKER
from worker.slot import EXIT_UNUSABLE


def test_each_line_gets_the_text_of_its_own_pixels(desk: Desk, tmp_path: Path) -> None:
    with WorkerProcess(desk.settings, tmp_path) as worker:
        job_ids = [desk.submit([picture() for _ in range(count)]) for count in (1, 70, 3)]
        for job_id in job_ids:
            job = desk.finished(job_id)
            assert (job.status, job.model_revision, job.lines_succeeded) == ("succeeded", "fake", job.lines_total)
            desk.assert_read(job_id)
        events = [json.loads(line) for line in worker.output().splitlines() if '"batch.recognised"' in line]
    phases = ("queued", "decode", "preprocess", "encode", "generate", "record")
    assert events
    assert all(event[f"{phase}_ms"] >= 0 for event in events for phase in phases)
    assert any(event["decode_ms"] > 0 and event["record_ms"] > 0 for event in events)


def test_a_lost_bell_costs_one_sweep_and_no_job(desk: Desk, tmp_path: Path) -> None:
    with WorkerProcess(desk.settings, tmp_path):
        job_id = desk.submit([picture()], is_ringing=False)
        desk.finished(job_id)
        desk.assert_read(job_id)


def test_a_line_that_cannot_be_decoded_fails_alone(desk: Desk, tmp_path: Path) -> None:
    good = picture()
    torn = type(good)(good.png[: len(good.png) // 2], "")
    with WorkerProcess(desk.settings, tmp_path):
        job = desk.finished(job_id := desk.submit([good, torn, picture()]))
    assert (job.status, job.lines_succeeded, job.lines_failed) == ("partial", 2, 1)
    assert desk.lines(job_id)[1].error_code == "corrupt_image"
    desk.assert_read(job_id, but=frozenset({1}))


def test_a_job_whose_lines_all_fail_says_so(desk: Desk, tmp_path: Path) -> None:
    torn = type(picture())(picture().png[:60], "")
    with WorkerProcess(desk.settings, tmp_path):
        job = desk.finished(desk.submit([torn]))
    assert (job.status, job.error_code) == ("failed", "all_lines_failed")


def test_a_line_too_large_for_the_memory_fails_alone(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:misbehave"})
    with WorkerProcess(settings, tmp_path):
        job_id = desk.submit([picture(), picture(OUT_OF_MEMORY_MARKER), picture()])
        desk.finished(job_id)
    assert desk.lines(job_id)[1].error_code == "out_of_memory"
    assert desk.lines(job_id)[1].crash_attempts == 0
    desk.assert_read(job_id, but=frozenset({1}))


def test_a_canceled_job_drops_what_comes_in_late(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:3000"})
    with WorkerProcess(settings, tmp_path) as worker:
        job_id = desk.submit([picture()])
        eventually(lambda: desk.running(job_id) == 1, message="the line was never claimed")
        with desk.sessions.begin() as session:
            cancel_job(session, desk.client_id, job_id)
        eventually(lambda: "stale_write.rejected" in worker.output(), message="the late outcome was not dropped")
    assert desk.job(job_id).status == "canceled"
    assert desk.lines(job_id)[0].text is None


def test_a_worker_that_is_told_to_end_finishes_its_batch_and_nothing_more(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:2000", "max_batch": 2})
    with WorkerProcess(settings, tmp_path) as worker:
        job_id = desk.submit([picture() for _ in range(6)])
        eventually(lambda: desk.running(job_id) == 2, message="the lines were never claimed")
        worker.terminate()
        assert worker.wait() == 0
    lines = desk.lines(job_id)
    assert [line.status for line in lines].count("running") == 0
    assert 2 <= sum(line.status == "succeeded" for line in lines) < 6
    assert all(line.crash_attempts == 0 for line in lines)
    with desk.sessions() as session:
        (model,) = served_models(session, sweep_seconds=60)
    assert model.live_workers == 0


def test_a_worker_without_its_model_exits_and_claims_nothing(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": str(tmp_path / "no-such-model")})
    worker = WorkerProcess(settings, tmp_path).start()
    try:
        assert worker.wait() == EXIT_UNUSABLE
    finally:
        worker.kill()
    assert "no-such-model" in worker.output()


def test_two_workers_share_a_large_job(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:200", "max_batch": 4})
    with WorkerProcess(settings, tmp_path) as first, WorkerProcess(settings, tmp_path) as second:
        job_id = desk.submit([picture() for _ in range(120)])
        desk.finished(job_id)
        desk.assert_read(job_id)
        assert first.output().count("batch.recognised") > 0
        assert second.output().count("batch.recognised") > 0
