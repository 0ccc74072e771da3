"""From a body of OpenAI's to lines to read and what to tell of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from core.base64_data import BadUpload
from core.base64_images import Image, decode_image
from core.errors import Fault, ImageTooLarge, InvalidRequest
from core.jobs import NewLine
from core.openai.bodies import ChatRequest, ResponseRequest
from core.openai.parts import ImagePart, InputImage
from core.settings import Limits
from core.transcription import Decoding

_MOST_NEW_TOKENS = 1_024  # as for jobs; more than any model here can say of one line


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it came, and the JSON Pointer to it in its body."""

    pointer: str
    encoded: str

    @property
    def is_url(self) -> bool:
        """Tell whether it is not the image but says where it is."""
        return self.encoded[:8].lower().startswith(("http://", "https:/"))


Fetch = Callable[[Sequence[Picture]], Sequence[Image]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What an answer tells; kept with a request of a batch, so that its answer can be written later."""

    readings: int
    tells_tokens: bool
    pointers: tuple[str, ...]

    def value(self) -> dict[str, object]:
        """Return the wish as JSON."""
        return {"readings": self.readings, "tells_tokens": self.tells_tokens, "pointers": self.pointers}

    @classmethod
    def of_value(cls, value: Mapping[str, object]) -> "Wish":
        """Return the wish in what `value` returned."""
        pointers = value["pointers"]
        assert isinstance(pointers, list | tuple)  # noqa: S101 - as it was stored
        return cls(int(str(value["readings"])), bool(value["tells_tokens"]), tuple(str(each) for each in pointers))


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked body, but for its images."""

    model: str
    pictures: Sequence[Picture]
    decoding: Decoding
    wish: Wish

    @property
    def names_urls(self) -> bool:
        """Tell whether some images are elsewhere."""
        return any(picture.is_url for picture in self.pictures)

    def lines(self, limits: Limits, fetch: Fetch | None = None) -> list[NewLine]:
        """Return the lines to read.

        `fetch` brings the images behind URLs, once all else is checked; without it a URL is refused.

        Raises:
            InvalidRequest: some images are not acceptable, a fault for each; ImageTooLarge when that is all.
        """
        elsewhere = [picture for picture in self.pictures if picture.is_url] if fetch is not None else []
        images: dict[str, Image] = {}
        faults: list[Fault] = []
        for picture in self.pictures:
            if fetch is not None and picture.is_url:
                continue
            try:
                images[picture.pointer] = _decode(picture, limits)
            except BadUpload as bad:
                faults.append(Fault(picture.pointer, bad.detail, bad.code))
        if faults:
            refuse_images(faults)
        if fetch is not None and elsewhere:
            images |= zip((picture.pointer for picture in elsewhere), fetch(elsewhere), strict=True)
        in_order = (images[picture.pointer] for picture in self.pictures)
        return [NewLine(image.data, image.media_type, size=image.size) for image in in_order]


def refuse_images(faults: list[Fault]) -> NoReturn:
    """Refuse a body for its images.

    Raises:
        InvalidRequest: always; ImageTooLarge when their size is all that is wrong.
    """
    is_size = all(fault.code == ImageTooLarge.code for fault in faults)
    raise (ImageTooLarge if is_size else InvalidRequest)(faults)


def asked_by_chat(body: ChatRequest, limits: Limits) -> Asked:
    """Return what a chat completion asks for.

    Raises:
        InvalidRequest: it holds no image, or too many.
    """
    pictures = [
        Picture(f"/messages/{place}/content/{number}{part.url[0]}", part.url[1])
        for place, message in enumerate(body.messages)
        if message.role == "user" and isinstance(message.content, list)
        for number, part in enumerate(message.content)
        if isinstance(part, ImagePart)
    ]
    readings = body.n or 1
    most = body.max_completion_tokens or body.max_tokens
    tells_tokens = bool(body.logprobs)
    top = (body.top_logprobs or 0) if readings == 1 else 0
    _refuse_number(pictures, "/messages", limits)
    return Asked(
        body.model,
        pictures,
        _decoding(readings, most, top if tells_tokens else 0),
        Wish(readings, tells_tokens, tuple(each.pointer for each in pictures)),
    )


def asked_by_response(body: ResponseRequest, limits: Limits) -> Asked:
    """Return what a response asks for.

    Raises:
        InvalidRequest: it holds no image, or too many.
    """
    pictures = [
        Picture(f"/input/{place}/content/{number}{part.url[0]}", part.url[1])
        for place, message in enumerate(body.input if isinstance(body.input, list) else ())
        if message.role == "user" and isinstance(message.content, list)
        for number, part in enumerate(message.content)
        if isinstance(part, InputImage)
    ]
    tells_tokens = "message.output_text.logprobs" in (body.include or ())
    top = body.top_logprobs or 0
    _refuse_number(pictures, "/input", limits)
    return Asked(
        body.model,
        pictures,
        _decoding(1, body.max_output_tokens, top if tells_tokens else 0),
        Wish(1, tells_tokens, tuple(each.pointer for each in pictures)),
    )


def _refuse_number(pictures: Sequence[Picture], place: str, limits: Limits) -> None:
    if not pictures:
        raise InvalidRequest([Fault(place, "No user message holds an image to read.", "no_image")])
    if len(pictures) > limits.max_lines:
        raise InvalidRequest([Fault(place, f"At most {limits.max_lines} images are read at once.", "too_many")])


def _decoding(readings: int, most_tokens: int | None, top_tokens: int) -> Decoding:
    """Return how to decode. Tokens are asked for even when nobody is told of them: usage counts them."""
    return Decoding(
        num_beams=readings,
        n_best=readings,
        max_new_tokens=None if most_tokens is None else min(most_tokens, _MOST_NEW_TOKENS),
        top_tokens=top_tokens,
    )


def _decode(picture: Picture, limits: Limits) -> Image:
    if picture.is_url:
        detail = "Images are not fetched from URLs here; send a data: URI in base64."
        raise BadUpload("image_url_not_allowed", detail)
    return decode_image(picture.encoded, limits)
