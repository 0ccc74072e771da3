"""The parts of a message: texts, which are accepted and ignored, and images, each of which is a line."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Detail = Literal["auto", "low", "high", "original"]
_IMAGE = (
    "A data: URI in base64, or plain base64: PNG, JPEG, WebP, TIFF or BMP. An https URL where the operator allows "
    "fetching; not in batches."
)


class Body(BaseModel):
    """Base of what clients send: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ImageUrl(Body):
    """An image."""

    url: str = Field(description=_IMAGE)
    detail: Detail | None = Field(None, description="Accepted and ignored.")


class TextPart(Body):
    """Text; accepted and ignored."""

    type: Literal["text"]
    text: str


class ImagePart(Body):
    """A line image; `image_url` is an object or, as in older clients, its URL."""

    type: Literal["image_url"]
    image_url: Annotated[
        Annotated[str, Tag("<url>")] | Annotated[ImageUrl, Tag("<object>")],
        Discriminator(lambda value: "<url>" if isinstance(value, str) else "<object>"),
    ]

    @property
    def url(self) -> tuple[str, str]:
        """Where in the part the image is, and the image."""
        if isinstance(self.image_url, str):
            return "/image_url", self.image_url
        return "/image_url/url", self.image_url.url


class InputText(Body):
    """Text; accepted and ignored."""

    type: Literal["input_text", "output_text"]
    text: str
    annotations: list[object] | None = None
    logprobs: list[object] | None = None


class InputImage(Body):
    """A line image."""

    type: Literal["input_image"]
    image_url: str = Field(description=_IMAGE)
    file_id: None = Field(None, description="Images are not read from files.")
    detail: Detail | None = Field(None, description="Accepted and ignored.")

    @property
    def url(self) -> tuple[str, str]:
        """Where in the part the image is, and the image."""
        return "/image_url", self.image_url


def _type_of(value: object) -> object:
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


def _tag_of_content(value: object) -> str:
    return "<parts>" if isinstance(value, list) else "<text>"


ChatContent = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[
        list[
            Annotated[
                Annotated[TextPart, Tag("<text>")] | Annotated[ImagePart, Tag("<image>")],
                Discriminator(lambda value: "<image>" if _type_of(value) == "image_url" else "<text>"),
            ]
        ],
        Tag("<parts>"),
    ],
    Discriminator(_tag_of_content),
]
InputContent = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[
        list[
            Annotated[
                Annotated[InputText, Tag("<text>")] | Annotated[InputImage, Tag("<image>")],
                Discriminator(lambda value: "<image>" if _type_of(value) == "input_image" else "<text>"),
            ]
        ],
        Tag("<parts>"),
    ],
    Discriminator(_tag_of_content),
]
