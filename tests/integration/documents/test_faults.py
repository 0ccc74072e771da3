"""Documents workers and their sandbox children are killed, stopped, told to end; jobs are stopped under their hands."""

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from cli.local.postgres import LocalPostgres
from core.bells import Bells
from core.database import create_database_engine, create_session_factory
from core.documents.cutting import CutWish
from core.settings import Settings
from core.words import Cut
from tests.integration.documents.reception import Reception, open_reception
from tests.pdfs import PdfBuilder, flate_bomb, reportlab_form
from tests.processes import DocumentsProcess, WorkerProcess
from tests.proxy import TcpProxy
from tests.waiting import eventually
from worker.documents.cutting import Cutting
from worker.documents.desk import Desk
from worker.sandbox.limits import pdf_limits
from worker.sandbox.pdf_sandbox import PdfCutter

LONG_FORM = [f"field{number}" for number in range(30)]


@pytest.fixture(autouse=True)
def invariants_hold(reception: Reception) -> Iterator[None]:
    """Check after every test that every job ended, with the right texts, once."""
    yield
    reception.check_invariants()


def typed_form(words: str = "Berlin") -> bytes:
    form = PdfBuilder()
    form.text_field(form.page(), "city", (20, 20, 120, 40), value=words)
    return form.bytes()


@cache
def long_form() -> bytes:
    """Build a form that takes seconds to cut."""
    return reportlab_form(LONG_FORM, pages=60)


def being_cut(reception: Reception, worker: DocumentsProcess, job_id: uuid.UUID) -> int:
    """Wait until a sandbox child is at the document, and return its process id."""
    reception.reached(job_id, "running")
    eventually(lambda: busy_child(worker) is not None, 20, "no child ever worked")
    return busy_child(worker) or 0


def busy_child(worker: DocumentsProcess) -> int | None:
    """Return the child that has computed for longer than its start takes."""
    for pid in worker.child_pids:
        used = psutil.Process(pid).cpu_times()
        if used.user + used.system > 0.8:
            return pid
    return None


@pytest.mark.parametrize("place", ["document.after_claim", "document.after_work", "document.after_record"])
def test_a_worker_killed_anywhere_loses_no_document_and_repeats_no_line(
    reception: Reception, tmp_path: Path, place: str
) -> None:
    dying = reception.settings.model_copy(update={"failpoints": place})
    job_id = reception.hand_in(typed_form())
    with DocumentsProcess(dying, tmp_path) as doomed:
        assert doomed.wait() == -signal.SIGKILL
    with DocumentsProcess(reception.settings, tmp_path):
        assert reception.finished(job_id).status == "succeeded"
    document = reception.document(job_id)
    assert (document.attempt, document.crash_attempts) == ((1, 0) if place == "document.after_record" else (2, 1))


def test_a_document_that_kills_its_worker_each_time_fails_after_the_third(reception: Reception, tmp_path: Path) -> None:
    dying = reception.settings.model_copy(update={"failpoints": "document.after_claim"})
    job_id = reception.hand_in(typed_form())
    for _ in range(3):
        with DocumentsProcess(dying, tmp_path) as doomed:
            assert doomed.wait() == -signal.SIGKILL
    with DocumentsProcess(reception.settings, tmp_path):
        job = reception.finished(job_id)
    assert (job.status, job.error_code) == ("failed", "worker_crash")


def test_a_document_whose_sandbox_child_was_killed_from_outside_is_cut_again(
    reception: Reception, tmp_path: Path
) -> None:
    """A51: the document was not at fault."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    worker = DocumentsProcess(reception.settings, tmp_path)
    worker.environment["TMPDIR"] = str(scratch)
    with worker:
        job_id = reception.hand_in(long_form())
        os.kill(being_cut(reception, worker, job_id), signal.SIGKILL)
        eventually(lambda: '"document.charged"' in worker.output(), 20, "the killed child was never noticed")
        document = reception.reached(job_id, "succeeded", 60)
        assert worker.is_running
    assert (document.attempt, document.crash_attempts) == (2, 1)
    assert list(scratch.iterdir()) == []
    reception.cancel(job_id)


def test_a_document_that_breaks_each_child_is_unprocessable(reception: Reception, tmp_path: Path) -> None:
    """A51."""
    with DocumentsProcess(reception.settings, tmp_path) as worker:
        job_id = reception.hand_in(long_form())
        for death in range(1, 4):
            os.kill(being_cut(reception, worker, job_id), signal.SIGKILL)
            eventually(lambda n=death: reception.document(job_id).crash_attempts == n, 20, "it was never charged")
        job = reception.finished(job_id)
        assert (job.status, job.error_code) == ("failed", "unprocessable_input")
        assert reception.finished(reception.hand_in(typed_form())).status == "succeeded"  # the worker is well


def test_a_document_that_takes_too_long_is_unprocessable_at_once(reception: Reception, tmp_path: Path) -> None:
    """A51."""
    strict = reception.changed(documents={"cpu_seconds": 0.3})
    with DocumentsProcess(strict, tmp_path) as worker:
        job_id = reception.hand_in(flate_bomb(), CutWish(Cut.PAGE))
        job = reception.finished(job_id)
        assert (job.status, job.error_code) == ("failed", "unprocessable_input")
        assert worker.is_running
    assert (reception.document(job_id).attempt, reception.document(job_id).crash_attempts) == (1, 0)


@pytest.mark.parametrize("what", ["cancel", "delete"])
def test_a_job_that_ends_while_its_document_is_cut_gets_no_lines(
    reception: Reception, tmp_path: Path, what: str
) -> None:
    """A41, of documents."""
    with DocumentsProcess(reception.settings, tmp_path) as worker:
        job_id = reception.hand_in(long_form())
        child = being_cut(reception, worker, job_id)
        getattr(reception, what)(job_id)
        eventually(lambda: '"document.interrupted"' in worker.output(), 20, "the worker went on for nothing")
        eventually(lambda: child not in worker.child_pids, 5, "the child went on for nothing")
        assert reception.finished(reception.hand_in(typed_form())).status == "succeeded"
    assert reception.job(job_id).status == "canceled"
    assert reception.lines(job_id) == []


def test_a_worker_that_slept_past_its_lease_writes_nothing(reception: Reception, tmp_path: Path) -> None:
    """A6, of documents."""
    with DocumentsProcess(reception.settings, tmp_path) as sleeper:
        job_id = reception.hand_in(long_form())
        being_cut(reception, sleeper, job_id)
        sleeper.stop()
        with DocumentsProcess(reception.settings, tmp_path):
            eventually(lambda: reception.document(job_id).attempt == 2, 30, "nobody took it over")
            sleeper.resume()
            reception.reached(job_id, "succeeded", 60)
            eventually(
                lambda: any(
                    f'"{word}"' in sleeper.output() for word in ("document.interrupted", "stale_write.rejected")
                ),
                20,
                "the late cut was not dropped",
            )
    assert reception.document(job_id).attempt == 2
    assert reception.job(job_id).lines_total == 60 * len(LONG_FORM)
    reception.cancel(job_id)


def test_a_worker_that_is_told_to_end_finishes_what_it_has_in_hand_or_gives_it_back(
    reception: Reception, tmp_path: Path
) -> None:
    with DocumentsProcess(reception.settings, tmp_path) as worker:
        job_id = reception.hand_in(long_form())
        being_cut(reception, worker, job_id)
        waiting = reception.hand_in(typed_form())
        worker.terminate()
        assert worker.wait() == 0
    document = reception.document(job_id)
    assert (document.attempt, document.crash_attempts) == (1, 0)
    assert document.status in {"succeeded", "queued"}  # what takes longer than the grace is given back, uncharged
    assert reception.document(waiting).attempt == 0
    with DocumentsProcess(reception.settings, tmp_path), WorkerProcess(reception.settings, tmp_path):
        for one in (job_id, waiting):
            assert reception.finished(one, 60).status == "succeeded"


def test_a_cut_waits_for_a_database_that_restarts(
    reception: Reception, own_postgres: LocalPostgres, tmp_path: Path
) -> None:
    """A26, of documents."""
    settings = reception.changed(documents={"lease_seconds": 60.0})
    settings = settings.model_copy(update={"database_url": SecretStr(own_postgres.url)})
    with open_reception(settings) as own, DocumentsProcess(settings, tmp_path) as worker:
        job_id = own.hand_in(long_form())
        being_cut(own, worker, job_id)
        own_postgres.kill()
        eventually(lambda: '"record.postponed"' in worker.output(), 60, "the database was never missed")
        own_postgres.start()
        document = own.reached(job_id, "succeeded", 60)
        assert (document.attempt, document.crash_attempts) == (1, 0)
        assert own.finished(own.hand_in(typed_form())).status == "succeeded"
        own.cancel(job_id)
        own.check_invariants()


@contextmanager
def desk_of(settings: Settings, cutter: PdfCutter) -> Iterator[None]:
    """Run a desk in this process."""
    engine, bells = create_database_engine(settings, "test-desk"), Bells(settings)
    desk = Desk(settings, create_session_factory(engine), bells, Cutting(cutter, keep_images=True))
    desk.start()
    yield
    desk.stop()
    bells.close()
    engine.dispose()


def test_a_claim_whose_answer_was_lost_is_given_back_and_charges_nobody(reception: Reception) -> None:
    job_id = reception.hand_in(typed_form())
    url = reception.settings.database_url.get_secret_value()
    with TcpProxy.before(url) as proxy:
        settings = reception.settings.model_copy(update={"database_url": SecretStr(proxy.url(url))})
        proxy.cut_on(b"COMMIT")
        with desk_of(settings, PdfCutter(pdf_limits(settings))):
            assert reception.finished(job_id).status == "succeeded"
        assert proxy.has_cut
    document = reception.document(job_id)
    assert (document.attempt, document.crash_attempts) == (2, 0)


def test_without_a_sandbox_nothing_is_charged_and_nothing_is_lost(reception: Reception) -> None:
    job_id = reception.hand_in(typed_form())
    with desk_of(reception.settings, PdfCutter(pdf_limits(reception.settings), entry="tests.no_such_entry")):
        eventually(lambda: reception.document(job_id).attempt >= 4, 30, "it was not tried again")
    document = reception.document(job_id)
    assert (document.status, document.crash_attempts) == ("queued", 0)
    with desk_of(reception.settings, PdfCutter(pdf_limits(reception.settings))):
        assert reception.finished(job_id).status == "succeeded"
