"""Responses through OpenAI's own Python client."""

import openai
import pytest

from tests.integration.openai.conftest import data_uri, picture


def _input(*pictures):
    parts = [{"type": "input_image", "image_url": data_uri(one.png), "detail": "auto"} for one in pictures]
    return [{"role": "user", "content": [{"type": "input_text", "text": "Read this."}, *parts]}]


def test_a_response_holds_the_texts_of_the_images(client):
    pictures = [picture(), picture()]
    answer = client.responses.create(
        model="fake",
        input=_input(*pictures),
        instructions="Read.",
        metadata={"form": "7"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    assert answer.output_text == "\n".join(one.text for one in pictures)
    assert answer.status == "completed"
    assert answer.metadata == {"form": "7"}
    assert answer.usage.output_tokens > 0
    tokens = answer.output[0].content[0].logprobs
    assert "".join(token.token for token in tokens) == answer.output_text


def test_a_response_that_is_cut_off_is_incomplete(client):
    answer = client.responses.create(model="fake", input=_input(picture()), max_output_tokens=2)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_streamed_response_has_a_delta_for_each_line(client):
    pictures = [picture() for _ in range(3)]
    with client.responses.stream(model="fake", input=_input(*pictures)) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == [
        pictures[0].text, f"\n{pictures[1].text}", f"\n{pictures[2].text}"
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.output_text == "\n".join(one.text for one in pictures)


def test_an_input_without_an_image_is_refused(client):
    with pytest.raises(openai.UnprocessableEntityError) as failure:
        client.responses.create(model="fake", input="Hello")
    assert (failure.value.code, failure.value.param) == ("no_image", "input")
