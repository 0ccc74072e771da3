"""Error rates over a corpus, each as the TrOCR paper (Li et al., AAAI 2023, arXiv 2109.10282) defines it.

Every rate is a sum over the corpus divided by a sum over the corpus, never a mean of the lines' rates, so the order of
the lines does not matter and a short line weighs as much as its length. Texts are compared in Unicode's NFC form,
without white space at their ends (as jiwer does), and any other white space counts as a plain space.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import jiwer

_WHITE_SPACE = re.compile(r"\s")
_NOT_ALPHANUMERIC = re.compile(r"[^0-9a-z]")


@dataclass(frozen=True, slots=True)
class Counts:
    """What the rates are made of; the counts of a corpus are the sum of its lines' counts."""

    lines: int = 0
    exact: int = 0
    characters: int = 0
    character_edits: int = 0
    words: int = 0
    word_edits: int = 0
    hypothesis_words: int = 0
    matched_words: int = 0
    alphanumeric_matches: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def cer(self) -> float | None:
        """Character error rate, case-sensitive: edits / reference characters, spaces included.

        TrOCR paper, "Evaluation Metrics": IAM "is evaluated by the case-sensitive Character Error Rate (CER)".
        """
        return _ratio(self.character_edits, self.characters)

    @property
    def wer(self) -> float | None:
        """Word error rate: the same over words; the paper reports none, other work on IAM does."""
        return _ratio(self.word_edits, self.words)

    @property
    def exact_rate(self) -> float | None:
        """The share of lines read without any error."""
        return _ratio(self.exact, self.lines)

    @property
    def word_precision(self) -> float | None:
        """TrOCR paper, "Evaluation Metrics", SROIE: correct matches / number of detected words."""
        return _ratio(self.matched_words, self.hypothesis_words)

    @property
    def word_recall(self) -> float | None:
        """TrOCR paper, "Evaluation Metrics", SROIE: correct matches / number of ground truth words."""
        return _ratio(self.matched_words, self.words)

    @property
    def word_f1(self) -> float | None:
        """TrOCR paper, "Evaluation Metrics", SROIE: 2 * precision * recall / (precision + recall)."""
        return _ratio(2 * self.matched_words, self.words + self.hypothesis_words)

    @property
    def word_accuracy(self) -> float | None:
        """Scene text: the share of lines (there, single words) equal in the 36 characters 0-9 and a-z.

        TrOCR paper, "Evaluation Metrics": scene text is "evaluated by the Word Accuracy", with the output filtered
        "to suit the popular 36-character charset (lowercase alphanumeric)".
        """
        return _ratio(self.alphanumeric_matches, self.lines)


def count(reference: str, hypothesis: str) -> Counts:
    """Count one line. An empty reference is legal: each character or word of the hypothesis is then an insertion."""
    reference, hypothesis = normalise(reference), normalise(hypothesis)
    characters = jiwer.process_characters(reference, hypothesis)
    words = jiwer.process_words(reference, hypothesis)
    return Counts(
        lines=1,
        exact=int(reference == hypothesis),
        characters=characters.hits + characters.substitutions + characters.deletions,
        character_edits=characters.substitutions + characters.deletions + characters.insertions,
        words=words.hits + words.substitutions + words.deletions,
        word_edits=words.substitutions + words.deletions + words.insertions,
        hypothesis_words=len(hypothesis.split()),
        matched_words=_matched_words(reference, hypothesis),
        alphanumeric_matches=int(alphanumeric(reference) == alphanumeric(hypothesis)),
    )


def total(counts: Iterable[Counts]) -> Counts:
    """Sum the counts of many lines."""
    return reduce(Counts.__add__, counts, Counts())


def normalise(text: str) -> str:
    """Return the text as it is compared."""
    return _WHITE_SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()


def alphanumeric(text: str) -> str:
    """Return what the scene-text benchmarks compare: lower case, digits and the letters a to z only."""
    return _NOT_ALPHANUMERIC.sub("", text.lower())


def _matched_words(reference: str, hypothesis: str) -> int:
    """Count the words found in both, each as often as it stands in both.

    TrOCR paper: "If repeated words appear in the ground truth, they are also supposed to appear in the prediction."
    """
    return (Counter(reference.split()) & Counter(hypothesis.split())).total()


def _ratio(part: int, whole: int) -> float | None:
    """Divide; a rate over nothing is unknown, not zero (jiwer would return the bare number of insertions)."""
    return part / whole if whole else None
