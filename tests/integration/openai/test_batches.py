"""Files and batches through OpenAI's own Python client, with every worker that they need."""

import json
import time
from collections import Counter
from collections.abc import Iterator

import openai
import pytest

from core.settings import OpenAI, Worker
from tests.integration.openai.conftest import Place, asking, make_key, picture, serving
from tests.integration.worker.conftest import Picture
from tests.processes import WebhooksProcess, WorkerProcess
from tests.waiting import eventually

UNREAD = "SELECT count(*) FROM lines WHERE status <> 'succeeded'"
ENDED = {"completed", "failed", "expired", "cancelled"}


def request(custom_id: str, *pictures: Picture, **body: object) -> dict[str, object]:
    """A line of a batch's file."""
    body = {"model": "fake", "messages": asking(*pictures), **body}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def started(client: openai.OpenAI, *requests: dict[str, object] | bytes, **options: object) -> openai.types.Batch:
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in requests]
    file = client.files.create(file=("requests.jsonl", b"\n".join(lines)), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **options
    )


def ended(client: openai.OpenAI, batch: openai.types.Batch, timeout_seconds: float = 30.0) -> openai.types.Batch:
    eventually(
        lambda: client.batches.retrieve(batch.id).status in ENDED,
        timeout_seconds,
        "the batch never ended",
    )
    return client.batches.retrieve(batch.id)


def answers(client: openai.OpenAI, file_id: str | None) -> dict[str, dict]:
    if file_id is None:
        return {}
    lines = [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
    assert max(Counter(line["custom_id"] for line in lines).values()) == 1
    return {line["custom_id"]: line for line in lines}


def test_every_request_of_a_batch_is_answered_under_its_own_id(client):
    pictures = {f"r{number}": picture() for number in range(5)}
    two = (picture(), picture())
    batch = started(
        client,
        *[request(custom_id, one) for custom_id, one in pictures.items()],
        request("two", *two, logprobs=True),
        request("readings", two[0], n=2),
        metadata={"form": "7"},
    )
    assert batch.status == "validating"
    assert batch.metadata == {"form": "7"}
    done = ended(client, batch)
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 7, 0)
    assert done.error_file_id is None
    found = answers(client, done.output_file_id)
    assert list(found) == [*pictures, "two", "readings"]
    contents = {each: line["response"]["body"]["choices"][0]["message"]["content"] for each, line in found.items()}
    assert contents == {each: one.text for each, one in pictures.items()} | {
        "two": f"{two[0].text}\n{two[1].text}",
        "readings": two[0].text,
    }
    assert found["two"]["response"]["status_code"] == 200
    assert found["two"]["response"]["body"]["choices"][0]["logprobs"]["content"]
    assert len(found["readings"]["response"]["body"]["choices"]) == 2


def test_what_cannot_be_read_is_answered_in_the_error_file(client):
    torn = Picture(picture().png[:400], "")
    batch = started(
        client,
        request("good", picture()),
        request("torn", torn),
        request("no model", picture(), model="gpt-4o"),
        request("no image"),
        request("stream", picture(), stream=True),
        request("odd", picture(), colour=1),
    )
    done = ended(client, batch)
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 1, 5)
    assert set(answers(client, done.output_file_id)) == {"good"}
    told = {
        each: (line["response"]["status_code"], line["response"]["body"]["error"]["code"])
        for each, line in answers(client, done.error_file_id).items()
    }
    assert told == {
        "torn": (422, "corrupt_image"),
        "no model": (404, "model_not_found"),
        "no image": (422, "no_image"),
        "stream": (422, "invalid_value"),
        "odd": (422, "unknown_field"),
    }


def test_a_file_that_is_no_batch_fails_with_the_lines_that_are_wrong(client, place):
    before = place.scalar("SELECT count(*) FROM jobs")
    good = request("a", picture())
    batch = started(client, good, good, b"{", {**request("b", picture()), "url": "/v1/embeddings"}, b'{"custom_id":1}')
    done = ended(client, batch)
    assert done.status == "failed"
    assert [(error.line, error.code) for error in done.errors.data] == [
        (2, "duplicate_custom_id"), (3, "invalid_json"), (4, "invalid_value"), (5, "invalid_request")
    ]  # fmt: skip
    assert place.scalar("SELECT count(*) FROM jobs") == before


def test_a_batch_runs_as_bulk_work(client, place):
    done = ended(client, started(client, request("a", picture())))
    assert place.scalar("SELECT priority FROM jobs WHERE client_reference = %s", done.id) == 2


def test_files_are_uploaded_listed_read_and_deleted(client):
    content = json.dumps(request("a", picture())).encode() * 3
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    assert (file.filename, file.bytes, file.purpose, file.status) == ("in.jsonl", len(content), "batch", "processed")
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    assert client.files.list().data[0].id == file.id
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    with pytest.raises(openai.UnprocessableEntityError):
        client.files.create(file=("in.jsonl", content), purpose="fine-tune")


def test_a_file_of_many_parts_comes_back_as_it_was(client):
    content = bytes(range(256)) * 12_000
    file = client.files.create(
        file=("in.jsonl", content), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file.expires_at - file.created_at == 3600
    assert client.files.content(file.id).read() == content


def test_listings_are_walked_page_by_page(client):
    made = [started(client, request("a", picture())) for _ in range(3)]
    walked = [batch.id for batch in client.batches.list(limit=2)]
    assert walked[:3] == [batch.id for batch in reversed(made)]
    assert len(walked) == len(set(walked))
    for batch in made:
        ended(client, batch)
    files = [file.id for file in client.files.list(limit=2)]
    assert len(files) == len(set(files)) >= 6


def test_what_is_anothers_is_not_found(client, place):
    batch = started(client, request("a", picture()))
    done = ended(client, batch)
    with place.client(make_key(place.settings, "stranger")) as stranger:
        for call in (
            lambda: stranger.batches.retrieve(batch.id),
            lambda: stranger.batches.cancel(batch.id),
            lambda: stranger.files.retrieve(batch.input_file_id),
            lambda: stranger.files.content(done.output_file_id),
            lambda: stranger.files.delete(done.output_file_id),
        ):
            with pytest.raises(openai.NotFoundError):
                call()
        with pytest.raises(openai.UnprocessableEntityError):
            stranger.batches.create(
                input_file_id=batch.input_file_id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        assert stranger.batches.list().data == []
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


def test_the_files_of_a_batch_go_with_their_time(client, place):
    done = ended(client, started(client, request("a", picture())))
    place.scalar("UPDATE files SET expires_at = now() RETURNING 1")
    with pytest.raises(openai.NotFoundError):
        client.files.content(done.output_file_id)
    eventually(lambda: place.scalar("SELECT count(*) FROM file_parts") == 0, message="the bytes stayed")


def test_a_batch_of_a_thousand_survives_the_death_of_its_workers(settings, tmp_path):
    settings = settings.model_copy(update={"worker": Worker(model="fake:30", max_batch=16)})
    pictures = {f"r{number}": picture() for number in range(1_000)}
    recogniser, clerk = WorkerProcess(settings, tmp_path), WebhooksProcess(settings, tmp_path)
    with serving(settings, tmp_path) as place, place.client() as client:
        with recogniser, clerk:
            batch = started(client, *[request(each, one) for each, one in pictures.items()])
            eventually(
                lambda: 200 < int(str(place.scalar("SELECT count(*) FROM lines WHERE status = 'succeeded'"))) < 900,
                30,
                "the batch was never half-way",
            )
            recogniser.kill()
            clerk.kill()
            assert client.batches.retrieve(batch.id).status == "in_progress"
        with WorkerProcess(settings, tmp_path), WebhooksProcess(settings, tmp_path):
            done = ended(client, batch, 60)
        assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 1_000, 0)
        found = answers(client, done.output_file_id)
    assert {each: line["response"]["body"]["choices"][0]["message"]["content"] for each, line in found.items()} == {
        each: one.text for each, one in pictures.items()
    }


def test_a_clerk_that_is_killed_after_each_step_answers_every_request_once(settings, tmp_path):
    settings = settings.model_copy(update={"openai": OpenAI(batch_chunk_requests=2)})
    mortal = settings.model_copy(update={"failpoints": "batches.after_step"})
    pictures = {f"r{number}": picture() for number in range(4)}
    with WorkerProcess(settings, tmp_path), serving(settings, tmp_path) as place, place.client() as client:
        batch = started(client, *[request(each, one) for each, one in pictures.items()])
        for _ in range(3):  # checked; the first chunk; the second
            with WebhooksProcess(mortal, tmp_path) as clerk:
                eventually(lambda clerk=clerk: not clerk.is_running, message="the clerk did not die")
            eventually(lambda: place.scalar(UNREAD) == 0, message="a line was not read")
        begun = client.batches.retrieve(batch.id)  # the second chunk was not followed yet; what the first gave is told
        assert (begun.status, begun.request_counts.completed) == ("in_progress", 2)
        with WebhooksProcess(settings, tmp_path):
            done = ended(client, batch)
        assert list(answers(client, done.output_file_id)) == list(pictures)
        assert place.scalar("SELECT count(*) FROM lines") == len(pictures)


@pytest.fixture
def slow(settings, tmp_path) -> Iterator[Place]:
    """Give a service that nobody reads for, with a worker for batches."""
    with WebhooksProcess(settings, tmp_path), serving(settings, tmp_path) as service:
        yield service


def test_a_canceled_batch_answers_every_request(slow):
    with slow.client() as client:
        batch = started(client, request("a", picture()), request("b", picture()))
        eventually(lambda: client.batches.retrieve(batch.id).status == "in_progress", message="it never began")
        assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
        done = ended(client, batch)
        assert (done.status, done.output_file_id) == ("cancelled", None)
        told = answers(client, done.error_file_id)
    assert {each: line["error"]["code"] for each, line in told.items()} == dict.fromkeys("ab", "batch_cancelled")


def test_a_batch_that_is_cancelled_before_all_of_it_was_looked_at_answers_all_of_it(settings, tmp_path):
    settings = settings.model_copy(update={"openai": OpenAI(batch_chunk_requests=2)})
    mortal = settings.model_copy(update={"failpoints": "batches.after_step"})
    with serving(settings, tmp_path) as place, place.client() as client:
        batch = started(client, *[request(each, picture()) for each in "abcdef"])
        for _ in range(2):  # checked; the first two requests
            with WebhooksProcess(mortal, tmp_path) as clerk:
                eventually(lambda clerk=clerk: not clerk.is_running, message="the clerk did not die")
        assert client.batches.cancel(batch.id).status == "cancelling"
        with pytest.raises(openai.ConflictError) as failure:
            client.files.delete(batch.input_file_id)
        assert failure.value.code == "file_in_use"
        with WebhooksProcess(settings, tmp_path):
            done = ended(client, batch)
        assert (done.status, done.output_file_id, done.request_counts.failed) == ("cancelled", None, 6)
        assert list(answers(client, done.error_file_id)) == list("abcdef")
        assert client.files.delete(batch.input_file_id).deleted


def test_a_batch_that_expires_half_read_keeps_what_was_read(settings, tmp_path):
    settings = settings.model_copy(update={"worker": Worker(model="fake:300", max_batch=1)})
    pictures = {f"r{number}": picture() for number in range(30)}
    recogniser, clerk = WorkerProcess(settings, tmp_path), WebhooksProcess(settings, tmp_path)
    with recogniser, clerk, serving(settings, tmp_path) as place, place.client() as client:
        batch = started(client, *[request(each, one) for each, one in pictures.items()])
        read = "SELECT count(*) FROM lines WHERE status = 'succeeded'"
        eventually(lambda: int(str(place.scalar(read))) >= 2, 30, "nothing was read")
        place.scalar("UPDATE batches SET expires_at = now() RETURNING 1")
        done = ended(client, batch)
        read, unread = answers(client, done.output_file_id), answers(client, done.error_file_id)
    assert done.status == "expired"
    assert (done.request_counts.completed, done.request_counts.failed) == (len(read), len(unread))
    assert len(read) >= 2
    assert {*read, *unread} == set(pictures)
    assert len(read) + len(unread) == len(pictures)
    assert {line["error"]["code"] for line in unread.values()} == {"batch_expired"}
    for each, line in read.items():
        assert line["response"]["body"]["choices"][0]["message"]["content"] == pictures[each].text


def test_a_batch_whose_time_is_over_expires(slow):
    with slow.client() as client:
        batch = started(client, request("a", picture()))
        slow.scalar("UPDATE batches SET expires_at = now() RETURNING 1")
        done = ended(client, batch)
        assert done.status == "expired"
        assert answers(client, done.error_file_id)["a"]["error"]["code"] == "batch_expired"
        assert time.time() - done.expired_at < 60
