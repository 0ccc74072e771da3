"""The small values that everything else is built of."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.claims import review_reasons
from core.ids import new_uuid, parse_public_id, public_id
from core.notices import parse_notice
from core.settings import Settings, served_name
from core.transcription import Transcription
from core.words import FINISHED_JOB, FINISHED_LINE, JobStatus, LineStatus, Priority, ReviewReason


def test_ids_are_of_version_7_and_sort_by_their_creation() -> None:
    made = []
    for _ in range(3):
        before = new_uuid()
        made.append(before)
        while new_uuid().int >> 80 == before.int >> 80:
            pass

    assert made == sorted(made)
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}


@given(st.uuids())
def test_a_public_id_leads_back_to_its_uuid(value: uuid.UUID) -> None:
    assert parse_public_id("job", public_id("job", value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job_",
        "job_" + "0" * 31,
        "job_" + "0" * 33,
        "job_" + "A" * 32,
        "job_" + "\u0660" * 32,
        "job_" + "0" * 31 + "\0",
        "line_" + "0" * 32,
        "../../etc/passwd",
        str(uuid.uuid4()),
        "job_" * 2_500,
    ],
)
def test_what_is_no_public_id_is_none(text: str) -> None:
    """B7."""
    assert parse_public_id("job", text) is None


@given(st.text())
def test_no_text_breaks_the_reading_of_ids(text: str) -> None:
    parse_public_id("job", text)


def test_only_queued_and_running_are_not_finished() -> None:
    assert set(JobStatus) - FINISHED_JOB == {JobStatus.QUEUED, JobStatus.RUNNING}
    assert set(LineStatus) - FINISHED_LINE == {LineStatus.QUEUED, LineStatus.RUNNING}


def test_priorities_are_read_and_written_as_words_and_sort_by_urgency() -> None:
    assert [Priority.from_word(priority.word) for priority in Priority] == sorted(Priority)
    assert Priority.INTERACTIVE < Priority.DEFAULT < Priority.BULK


@pytest.mark.parametrize(
    ("confidence", "threshold", "truncated", "reasons"),
    [
        (0.5, None, False, ()),
        (0.5, 0.5, False, ()),
        (0.49, 0.5, False, (ReviewReason.LOW_CONFIDENCE,)),
        (0.9, 0.5, True, (ReviewReason.TRUNCATED,)),
        (0.1, 0.5, True, (ReviewReason.LOW_CONFIDENCE, ReviewReason.TRUNCATED)),
    ],
)
def test_a_line_is_to_be_reviewed_when_it_is_uncertain_or_cut_off(
    confidence: float, threshold: float | None, truncated: bool, reasons: tuple[ReviewReason, ...]
) -> None:
    assert review_reasons(Transcription("a", confidence, confidence, truncated=truncated), threshold) == reasons


def test_an_empty_notice_names_no_job() -> None:
    assert parse_notice("") == []


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("microsoft/trocr-base-handwritten", "trocr-base-handwritten"),
        ("/models/ours/", "ours"),
        ("fake", "fake"),
    ],
)
def test_a_model_is_served_under_the_last_part_of_its_name(model: str, name: str) -> None:
    assert served_name(model) == name


def test_a_lease_outlives_several_sweeps_and_renewals_by_default() -> None:
    leases = Settings().leases

    assert leases.sweep_seconds * 4 < leases.seconds < leases.stall_seconds
