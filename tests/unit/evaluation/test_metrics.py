import random

import jiwer
import pytest

from worker.evaluation.metrics import alphanumeric, count, total

PAIRS = [
    ("Mr. Okafor", "Mr Okafor"),
    ("12 High Street, Leeds", "12 High Sheet Leeds"),
    ("", "x y"),
    ("4711", ""),
    ("the cat and the dog", "the the cat dog"),
    ("naïve", "naive"),
]


def test_a_substitution_a_deletion_and_an_insertion_each_count_as_one_edit():
    counts = count("kitten sat", "sittin satt")  # k->s, e->i, +t

    assert counts.character_edits == 3
    assert counts.characters == 10
    assert counts.cer == pytest.approx(0.3)
    assert (counts.word_edits, counts.words) == (2, 2)
    assert counts.wer == 1.0
    assert counts.exact == 0


def test_the_error_rate_of_a_corpus_is_edits_over_characters_and_not_the_mean_of_the_lines():
    counts = total([count("ab", "xy"), count("abcdefgh", "abcdefgh")])

    assert counts.cer == pytest.approx(2 / 10)  # the mean of the lines' rates would be 0.5
    assert counts.wer == pytest.approx(1 / 2)
    assert counts.exact_rate == pytest.approx(1 / 2)


def test_the_rates_of_a_corpus_equal_jiwers():
    references, hypotheses = (list(texts) for texts in zip(*PAIRS, strict=True))

    counts = total(count(reference, hypothesis) for reference, hypothesis in PAIRS)

    assert counts.cer == pytest.approx(jiwer.cer(references, hypotheses))
    assert counts.wer == pytest.approx(jiwer.wer(references, hypotheses))


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_lines_changes_no_rate(seed):
    shuffled = random.Random(seed).sample(PAIRS, len(PAIRS))

    assert total(count(*pair) for pair in shuffled) == total(count(*pair) for pair in PAIRS)


def test_what_is_read_from_a_line_without_a_reference_counts_as_insertions():
    counts = total([count("", "ab c"), count("word", "word")])

    assert counts.character_edits == 4
    assert counts.cer == pytest.approx(4 / 4)
    assert counts.wer == pytest.approx(2 / 1)


def test_a_rate_over_nothing_is_unknown():
    nothing_true = count("", "ab")
    nothing_at_all = total([])

    assert nothing_true.cer is None
    assert nothing_true.wer is None
    assert nothing_true.word_recall is None
    assert count("", "").exact == 1
    assert nothing_at_all.exact_rate is None
    assert nothing_at_all.word_f1 is None


def test_an_empty_hypothesis_loses_every_character_and_every_word():
    counts = count("two words", "")

    assert counts.cer == 1.0
    assert counts.wer == 1.0
    assert counts.word_precision is None
    assert counts.word_recall == 0.0


def test_case_counts_in_the_character_error_rate_but_not_in_the_word_accuracy():
    counts = count("Leeds", "leeds")

    assert counts.character_edits == 1
    assert counts.exact == 0
    assert counts.word_accuracy == 1.0


def test_the_word_accuracy_compares_only_digits_and_latin_letters():
    assert alphanumeric("It's 5-a-side, Élan!") == "its5asidelan"
    assert count("SALE!", "sale").word_accuracy == 1.0
    assert count("SALE 5", "sale 6").word_accuracy == 0.0


def test_a_word_matches_as_often_as_it_stands_in_both_texts():
    # reference: the x2, cat, and, dog; hypothesis: the x3, cat
    counts = count("the cat and the dog", "the the the cat")

    assert counts.matched_words == 3
    assert counts.word_precision == pytest.approx(3 / 4)
    assert counts.word_recall == pytest.approx(3 / 5)
    assert counts.word_f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))


def test_words_match_wherever_they_stand():
    counts = count("TOTAL 12.50", "12.50 TOTAL")

    assert counts.word_f1 == 1.0
    assert counts.exact == 0


def test_precision_and_recall_are_sums_over_the_corpus():
    counts = total([count("a b", "a"), count("c", "c d e")])

    assert counts.word_precision == pytest.approx(2 / 4)
    assert counts.word_recall == pytest.approx(2 / 3)
    assert counts.word_f1 == pytest.approx(4 / 7)


def test_white_space_at_the_ends_is_no_error_and_inside_it_is():
    assert count(" ab ", "ab").exact == 1
    assert count("a b", "ab").character_edits == 1
    assert count("a\u00a0b", "a b").exact == 1


def test_a_letter_with_a_combining_accent_equals_the_composed_letter():
    assert count("caf\u00e9", "cafe\u0301").exact == 1
