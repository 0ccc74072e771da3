"""Real documents workers: what they make of a form, together, and what they leave of what they are not to keep."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from cli.local.ports import free_port
from core.documents.cutting import CutWish
from core.words import Cut
from tests.integration.documents.reception import Reception
from tests.pdfs import PdfBuilder, reportlab_form
from tests.processes import DocumentsProcess, WorkerProcess
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def invariants_hold(reception: Reception) -> Iterator[None]:
    """Check after every test that every job ended, with the right texts, once."""
    yield
    reception.check_invariants()


def typed_form() -> bytes:
    form = PdfBuilder()
    page = form.page()
    form.text_field(page, "planted-name", (20, 60, 120, 80), value="planted-text")
    form.text_field(page, "person.city", (20, 20, 120, 40), value="Berlin")
    return form.bytes()


def cut_by(worker: DocumentsProcess) -> int:
    return worker.output().count('"document.cut"')


def test_a_form_is_cut_and_its_lines_are_read(reception: Reception, tmp_path: Path) -> None:
    with DocumentsProcess(reception.settings, tmp_path) as worker, WorkerProcess(reception.settings, tmp_path):
        job_id = reception.hand_in(reportlab_form(), CutWish(password="planted-password"))
        job = reception.finished(job_id)
        eventually(lambda: '"document.cut"' in worker.output())
        log = worker.output()
    assert (job.status, job.lines_total) == ("succeeded", 2)
    assert [line.custom_id for line in reception.lines(job_id)] == ["surname", "city"]
    document = reception.document(job_id)
    assert (document.cut, document.attempt, document.crash_attempts) == ("field", 1, 0)
    for secret in ("planted", "surname", *(line.text or "?" for line in reception.lines(job_id))):
        assert secret not in log


def test_a_form_with_nothing_to_read_ends_without_a_recogniser(reception: Reception, tmp_path: Path) -> None:
    with DocumentsProcess(reception.settings, tmp_path) as worker:
        job_id = reception.hand_in(typed_form())
        job = reception.finished(job_id)
        eventually(lambda: '"document.cut"' in worker.output())
        assert "planted" not in worker.output()
    assert (job.status, job.lines_succeeded) == ("succeeded", 2)
    texts = {line.custom_id: line.text for line in reception.lines(job_id)}
    assert texts == {"planted-name": "planted-text", "person.city": "Berlin"}


def test_what_was_cut_is_counted(reception: Reception, tmp_path: Path) -> None:
    port = free_port()
    with DocumentsProcess(reception.changed(documents={"metrics_port": port}), tmp_path) as worker:
        reception.finished(reception.hand_in(typed_form()))
        reception.finished(reception.hand_in(b"%PDF"))
        eventually(lambda: '"document.failed"' in worker.output())
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    for line in ('documents_total{outcome="cut"} 1.0', 'documents_total{outcome="failed"} 1.0', "cut_lines_sum 2.0"):
        assert f"inkpost_{line}" in metrics


def test_a_form_of_a_thousand_lines_is_read_whole(reception: Reception, tmp_path: Path) -> None:
    names = [f"field{number}" for number in range(25)]
    with DocumentsProcess(reception.settings, tmp_path), WorkerProcess(reception.settings, tmp_path):
        job_id = reception.hand_in(reportlab_form(names, pages=40))
        job = reception.finished(job_id, 120)
    assert (job.status, job.lines_succeeded) == ("succeeded", 1_000)
    lines = reception.lines(job_id)
    assert [line.custom_id for line in lines] == [f"{name}_{page}" for page in range(40) for name in names]
    assert [line.page for line in lines] == list(itertools.chain.from_iterable([page] * 25 for page in range(1, 41)))


def test_two_workers_share_what_is_queued_and_cut_each_document_once(reception: Reception, tmp_path: Path) -> None:
    job_ids = [reception.hand_in(reportlab_form(pages=5)) for _ in range(20)]
    workers = [DocumentsProcess(reception.settings, tmp_path) for _ in range(2)]
    with workers[0], workers[1]:
        job_ids += [reception.hand_in(reportlab_form(pages=5)) for _ in range(30)]
        for job_id in job_ids:
            reception.reached(job_id, "succeeded", 60)
        eventually(lambda: sum(cut_by(worker) for worker in workers) == 50)
        counts = [cut_by(worker) for worker in workers]
    assert min(counts) > 0, counts
    assert {reception.document(job_id).attempt for job_id in job_ids} == {1}
    with WorkerProcess(reception.settings, tmp_path):
        for job_id in job_ids:
            assert reception.finished(job_id, 60).status == "succeeded"


def test_losing_every_message_of_the_broker_loses_no_document(reception: Reception, tmp_path: Path) -> None:
    """A17, of documents."""
    with redis.Redis.from_url(reception.settings.redis_url.get_secret_value()) as broker:
        job_ids = [reception.hand_in(typed_form()) for _ in range(3)]
        broker.flushall()
        with DocumentsProcess(reception.settings, tmp_path):
            broker.flushall()
            for _ in range(3):
                job_ids.append(reception.hand_in(typed_form()))
                broker.flushall()
            for job_id in job_ids:
                assert reception.finished(job_id).status == "succeeded"


def test_what_is_not_to_be_kept_is_gone_once_it_is_read(reception: Reception, tmp_path: Path) -> None:
    reception.settings = reception.settings.model_copy(update={"keep_images": False})
    with DocumentsProcess(reception.settings, tmp_path), WorkerProcess(reception.settings, tmp_path):
        job_id = reception.hand_in(reportlab_form(), CutWish(Cut.FIELD, password="s3cret"))
        job = reception.finished(job_id)
        eventually(lambda: reception.scalar("SELECT count(*) FROM line_images") == 0)
    document = reception.document(job_id)
    assert (job.status, document.data, document.password) == ("succeeded", None, None)
