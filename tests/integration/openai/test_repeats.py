"""A client that repeats a call by itself, as OpenAI's do, has its lines read once."""

import threading

import openai
import pytest

from core.settings import OpenAI
from tests.integration.openai.conftest import asking, picture, serving
from tests.processes import WorkerProcess
from tests.waiting import eventually


def test_a_client_that_is_told_to_wait_repeats_its_call_and_reads_once(settings, tmp_path):
    with serving(settings.model_copy(update={"openai": OpenAI(answer_seconds=0.5)}), tmp_path) as place:
        one, answers = picture(), []
        with place.client() as impatient, pytest.raises(openai.InternalServerError) as failure:
            impatient.chat.completions.create(model="fake", messages=asking(one))
        assert (failure.value.status_code, failure.value.code) == (504, "still_reading")

        def call():
            with place.client(max_retries=10) as client:
                answers.append(client.chat.completions.create(model="fake", messages=asking(one)))

        patient = threading.Thread(target=call)
        patient.start()
        with WorkerProcess(settings, tmp_path):
            eventually(lambda: answers, 60, "it was never answered")
        patient.join()
        assert answers[0].choices[0].message.content == one.text
        assert place.scalar("SELECT count(*) FROM jobs") == 1


def test_a_client_whose_patience_ends_before_the_answer_reads_once(settings, tmp_path):
    with serving(settings, tmp_path) as place:
        one = picture()
        with place.client(timeout=0.5) as hasty, pytest.raises(openai.APITimeoutError):
            hasty.chat.completions.create(model="fake", messages=asking(one))
        with WorkerProcess(settings, tmp_path), place.client() as client:
            assert client.chat.completions.create(model="fake", messages=asking(one)).choices[0].message.content
        assert place.scalar("SELECT count(*) FROM jobs") == 1


def test_the_lines_of_a_stream_come_in_as_they_finish_and_in_order(settings, tmp_path):
    worker = settings.worker.model_copy(update={"model": "fake:300", "max_batch": 1})
    with (
        WorkerProcess(settings.model_copy(update={"worker": worker}), tmp_path),
        serving(settings, tmp_path) as place,
        place.client() as client,
    ):
        pictures = [picture() for _ in range(4)]
        unread = []
        seen = []
        for chunk in client.chat.completions.create(model="fake", messages=asking(*pictures), stream=True):
            if chunk.choices[0].delta.content:
                seen.append(chunk.choices[0].delta.content.strip())
                unread.append(place.scalar("SELECT count(*) FROM lines WHERE status <> 'succeeded'"))
    assert seen == [one.text for one in pictures]
    assert unread[0] > unread[-1] == 0
