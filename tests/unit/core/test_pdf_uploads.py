import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base64_data import BadUpload
from core.documents.uploads import check_pdf, decode_pdf
from core.settings import Limits

PDF = b"%PDF-1.4\n" + b"1 0 obj << >> endobj\n" * 5
LIMITS = Limits()


def refusal(data: bytes, claimed: str | None = None, limits: Limits = LIMITS) -> BadUpload:
    with pytest.raises(BadUpload) as refused:
        check_pdf(data, claimed, limits)
    return refused.value


def test_a_pdf_is_taken_as_it_is_in_base64_and_as_a_data_uri():
    text = base64.b64encode(PDF).decode()
    assert check_pdf(PDF, "application/pdf", LIMITS) == PDF
    assert decode_pdf(text, LIMITS) == PDF
    assert decode_pdf(f"data:application/x-pdf;base64,{text}", LIMITS) == PDF


@pytest.mark.parametrize("before", [0, 1, 1_000, 1_019])
def test_the_header_may_stand_anywhere_in_the_first_kilobyte(before):
    assert check_pdf(bytes(before) + PDF, None, LIMITS)


@pytest.mark.parametrize("before", [1_020, 5_000])
def test_a_header_further_behind_is_none(before):
    assert refusal(bytes(before) + PDF).code == "invalid_pdf"


def test_a_header_with_nothing_behind_it_is_no_pdf():
    assert refusal(bytes(900) + b"%PDF-1.7\n").code == "invalid_pdf"


def test_bytes_of_another_kind_than_was_said_are_refused():
    assert refusal(PDF, "image/png").code == "type_mismatch"


def test_the_limit_itself_is_allowed_and_one_byte_more_is_not():
    limits = Limits(max_document_bytes=2_000)
    assert check_pdf(PDF.ljust(2_000), None, limits)
    assert refusal(PDF.ljust(2_001), limits=limits).code == "document_too_large"
    with pytest.raises(BadUpload, match="A document has at most 2000 bytes"):
        decode_pdf(base64.b64encode(PDF.ljust(2_001)).decode(), limits)


@given(st.binary(max_size=3_000))
def test_any_bytes_are_taken_or_refused(data):
    with contextlib.suppress(BadUpload):
        check_pdf(data, None, LIMITS)
