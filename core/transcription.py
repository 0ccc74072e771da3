"""What a recogniser is asked for and what it answers: plain values that every part of Inkpost can hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a line is decoded; the default is greedy search to the model's own length limit.

    `top_tokens` asks for the tokens of the best reading, each with so many of the most probable ones at its place.
    """

    num_beams: int = 1
    n_best: int = 1
    max_new_tokens: int | None = None
    top_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the n best readings of a line, best first; the first equals the transcription itself."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class TopToken:
    """A token that could have stood at a place."""

    text: str
    log_probability: float


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a transcription. `top` holds the most probable ones at its place, most probable first, if asked for.

    The texts of all tokens, one after the other, are the transcription. A character that takes several tokens belongs
    to the last of them.
    """

    text: str
    log_probability: float
    top: tuple[TopToken, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcription:
    """Text recognised from one line image.

    `confidence` is exp(mean log-probability of the tokens) and `min_token_confidence` the probability of the least
    certain token, both 0 to 1; the end token counts as a token. `truncated` says that the length limit was hit before
    the end token. `alternatives` is empty unless more than one reading was asked for, and `tokens` unless tokens were;
    they leave out the end token. `image_tokens` is into how many the model cut the picture, when tokens were asked for.
    """

    text: str
    confidence: float
    min_token_confidence: float
    alternatives: tuple[Alternative, ...] = ()
    truncated: bool = False
    tokens: tuple[Token, ...] = ()
    image_tokens: int = 0
