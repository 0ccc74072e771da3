"""Chat completions and models through OpenAI's own Python client."""

import concurrent.futures

import openai
import pytest

from core.words import Scope
from tests.integration.openai.conftest import Place, asking, data_uri, make_key, picture
from tests.waiting import eventually


def test_the_texts_of_the_images_come_back_one_a_line_and_in_order(client):
    pictures = [picture() for _ in range(3)]
    answer = client.chat.completions.create(model="fake", messages=asking(*pictures))
    assert answer.choices[0].message.content == "\n".join(one.text for one in pictures)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "fake"
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_images_of_several_messages_and_of_the_older_form_are_read_and_texts_are_ignored(client):
    first, second = picture(), picture()
    answer = client.chat.completions.create(
        model="fake",
        temperature=0.2,
        seed=1,
        messages=[
            {"role": "system", "content": "You read handwriting."},
            {"role": "user", "content": [{"type": "image_url", "image_url": data_uri(first.png)}]},
            {"role": "assistant", "content": "Certainly."},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": data_uri(second.png)}}]},
        ],
    )
    assert answer.choices[0].message.content == f"{first.text}\n{second.text}"


def test_the_tokens_of_the_log_probabilities_are_the_content(client):
    answer = client.chat.completions.create(
        model="fake", messages=asking(picture(), picture()), logprobs=True, top_logprobs=3
    )
    choice = answer.choices[0]
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    assert all(token.logprob <= 0 for token in choice.logprobs.content)
    assert all(bytes(token.bytes).decode() == token.token for token in choice.logprobs.content)
    assert {len(token.top_logprobs) for token in choice.logprobs.content if token.token != "\n"} == {3}


def test_n_gives_as_many_readings_the_best_first(client):
    one = picture()
    answer = client.chat.completions.create(model="fake", messages=asking(one), n=3)
    assert [choice.message.content for choice in answer.choices] == [one.text, f"{one.text}-1", f"{one.text}-2"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def test_a_stream_tells_every_reading_and_the_tokens_of_the_best(client):
    pictures = [picture(), picture()]
    with client.chat.completions.stream(
        model="fake", messages=asking(*pictures), n=2, logprobs=True, stream_options={"include_usage": True}
    ) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion()
    best, second = (choice.message.content for choice in answer.choices)
    assert best == "\n".join(one.text for one in pictures)
    assert second == "\n".join(f"{one.text}-1" for one in pictures)
    assert "".join(token.token for token in answer.choices[0].logprobs.content) == best
    assert {choice.finish_reason for choice in answer.choices} == {"stop"}
    assert answer.usage.completion_tokens > 0


@pytest.mark.parametrize("detail", ["auto", "low", "high", "original"])
def test_the_detail_of_an_image_is_accepted_and_ignored(client, detail):
    one = picture()
    part = {"type": "image_url", "image_url": {"url": data_uri(one.png), "detail": detail}}
    answer = client.chat.completions.create(model="fake", messages=[{"role": "user", "content": [part]}])
    assert answer.choices[0].message.content == one.text


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_line_that_is_cut_off_ends_with_length(client, name):
    answer = client.chat.completions.create(model="fake", messages=asking(picture()), **{name: 2})
    assert answer.choices[0].finish_reason == "length"


def test_a_stream_has_a_delta_for_each_line_and_its_usage_at_the_end(client):
    pictures = [picture() for _ in range(4)]
    chunks = list(
        client.chat.completions.create(
            model="fake", messages=asking(*pictures), stream=True, stream_options={"include_usage": True}
        )
    )
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(deltas) == 4
    assert "".join(deltas) == "\n".join(one.text for one in pictures)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens > 0


def test_models_are_listed_and_looked_at_with_their_revision(client):
    listed = list(client.models.list())
    assert [(model.id, model.revision, model.live_workers) for model in listed] == [("fake", "fake", 1)]
    assert client.models.retrieve("fake") == listed[0]
    with pytest.raises(openai.NotFoundError) as failure:
        client.models.retrieve("gpt-4o")
    assert failure.value.code == "model_not_found"


def test_a_model_that_nobody_serves_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as failure:
        client.chat.completions.create(model="gpt-4o", messages=asking(picture()))
    assert failure.value.code == "model_not_found"
    assert failure.value.response.headers["x-should-retry"] == "false"


def test_keys_that_may_not_are_told_by_their_classes(place: Place):
    with pytest.raises(openai.AuthenticationError), place.client("ink_wrong") as stranger:
        stranger.models.list()
    with pytest.raises(openai.PermissionDeniedError), place.client(make_key(place.settings, "r", Scope.READ)) as reader:
        reader.chat.completions.create(model="fake", messages=asking(picture()))


def test_a_key_that_was_revoked_is_told_so(place: Place):
    key = make_key(place.settings, "short")
    with place.client(key) as client:
        assert client.models.list().data
        place.scalar("UPDATE api_keys SET revoked_at = now() WHERE id = %s RETURNING 1", key.split("_")[1])
        eventually(lambda: _refused(client) == (401, "key_revoked"), message="the key was never refused")


def _refused(client: openai.OpenAI) -> tuple[int, str | None] | None:
    try:
        client.models.list()
    except openai.AuthenticationError as error:
        return error.status_code, error.code
    return None


def test_what_is_refused_says_where_and_why(client):
    for wrong, code, param in [
        ({"messages": [{"role": "user", "content": "Hello"}]}, "no_image", "messages"),
        ({"messages": asking(picture()), "n": 6}, "out_of_range", "n"),
        ({"messages": asking(picture()), "extra_body": {"colour": 1}}, "unknown_field", "colour"),
        ({"messages": _with_url("https://example.org/a.png")}, "image_url_not_allowed", _URL),
        ({"messages": _with_url("data:image/png;base64,AAAA")}, "unsupported_image_format", _URL),
        ({"messages": _with_url("data:image/png;base64,A-_A")}, "invalid_base64", _URL),
    ]:
        with pytest.raises(openai.UnprocessableEntityError) as failure:
            client.chat.completions.create(model="fake", **wrong)
        assert (failure.value.code, failure.value.param) == (code, param)
        assert failure.value.type == "invalid_request_error"
        assert failure.value.request_id


_URL = "messages[0].content[0].image_url.url"


def _with_url(url: str) -> list[dict[str, object]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


def test_an_image_that_cannot_be_decoded_is_named(client):
    torn = data_uri(picture().png[:400])
    with pytest.raises(openai.UnprocessableEntityError) as failure:
        client.chat.completions.create(model="fake", messages=_with_url(torn))
    assert failure.value.code == "corrupt_image"
    assert failure.value.param == _URL
    with pytest.raises(openai.APIError, match="damaged"):
        list(client.chat.completions.create(model="fake", messages=_with_url(torn), stream=True))


def test_the_same_call_again_finds_the_same_job(place, client):
    messages = asking(picture())
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(client.chat.completions.create, model="fake", messages=messages) for _ in range(4)]
        assert len({call.result().id for call in calls}) == 1
    with place.client(make_key(place.settings, "another")) as another:
        assert another.chat.completions.create(model="fake", messages=messages).id != calls[0].result().id


def test_a_body_of_long_ago_is_read_anew(place, client):
    messages = asking(picture())
    first = client.chat.completions.create(model="fake", messages=messages).id
    place.scalar(
        "UPDATE jobs SET finished_at = finished_at - interval '61 s' WHERE id = %s RETURNING 1",
        first.removeprefix("chatcmpl_"),
    )
    assert client.chat.completions.create(model="fake", messages=messages).id != first
