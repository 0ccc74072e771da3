"""What an evaluation found, as one JSON document or as tables for a terminal."""

from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from worker.evaluation.calibration import (
    Fit,
    ThresholdRow,
    expected_calibration_error,
    fit_and_check,
    reliability_bins,
    threshold_table,
)
from worker.evaluation.evaluation import Evaluation

Document = dict[str, object]

_MAX_UNREADABLE_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Reader:
    """Which model read the lines, and how."""

    model: str
    revision: str
    device: str
    precision: str
    num_beams: int


def document(reader: Reader, evaluation: Evaluation) -> Document:
    """Return the whole report as JSON-ready values; rates are fractions, and null where nothing was counted."""
    counts = evaluation.counts
    judged = evaluation.judged
    fit = fit_and_check(judged)
    return {
        **asdict(reader),
        "lines": counts.lines,
        "characters": counts.characters,
        "words": counts.words,
        "cer": counts.cer,
        "wer": counts.wer,
        "exact": counts.exact_rate,
        "word_precision": counts.word_precision,
        "word_recall": counts.word_recall,
        "word_f1": counts.word_f1,
        "word_accuracy": counts.word_accuracy,
        "truncated": sum(line.transcription.truncated for line in evaluation.lines),
        "unreadable": [{"name": name, "error": error} for name, error in unreadable(evaluation)],
        "seconds": round(evaluation.seconds, 3),
        "ece": expected_calibration_error(judged),
        "reliability": [asdict(group) for group in reliability_bins(judged)],
        "thresholds": [asdict(row) for row in threshold_table(judged)],
        "temperature": None if fit is None else asdict(fit),
    }


def unreadable(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return the name and the error's code of each line that counted as read empty."""
    return [(line.line.name, line.error) for line in evaluation.lines if line.error is not None]


def print_tables(console: Console, reader: Reader, evaluation: Evaluation) -> None:
    """Print the rates, what review thresholds mean, and what could not be read."""
    judged = evaluation.judged
    console.print(_rates(reader, evaluation))
    console.print(_thresholds(threshold_table(judged)))
    ece = expected_calibration_error(judged)
    console.print(
        f"Expected calibration error of the confidences: {_percent(ece)}. {_temperature(fit_and_check(judged))}"
    )
    failed = unreadable(evaluation)
    if failed:
        console.print(f"{len(failed)} of the lines could not be read and count as read empty:", style="bold")
    for name, error in failed[:_MAX_UNREADABLE_SHOWN]:
        console.print(f"  {name}: {error}", markup=False, highlight=False)
    if len(failed) > _MAX_UNREADABLE_SHOWN:
        console.print(f"  and {len(failed) - _MAX_UNREADABLE_SHOWN} more; --json lists all.")


def _rates(reader: Reader, evaluation: Evaluation) -> Table:
    counts = evaluation.counts
    beams = f", {reader.num_beams} beams" if reader.num_beams > 1 else ""
    table = Table(title=f"{reader.model}: {reader.precision} on {reader.device}{beams}", title_justify="left")
    table.add_column("over the corpus")
    table.add_column("", justify="right")
    table.add_column("counted from", style="dim")
    table.add_row("CER", _percent(counts.cer), f"{counts.character_edits} edits of {counts.characters} characters")
    table.add_row("WER", _percent(counts.wer), f"{counts.word_edits} edits of {counts.words} words")
    table.add_row("lines without any error", _percent(counts.exact_rate), f"{counts.exact} of {counts.lines} lines")
    matched = f"{counts.matched_words} words in both, {counts.words} true, {counts.hypothesis_words} read"
    table.add_row("word precision (SROIE)", _percent(counts.word_precision), matched)
    table.add_row("word recall (SROIE)", _percent(counts.word_recall), "")
    table.add_row("word F1 (SROIE)", _percent(counts.word_f1), "")
    alphanumeric = f"{counts.alphanumeric_matches} of {counts.lines} equal in 0-9 a-z"
    table.add_row("word accuracy (scene text)", _percent(counts.word_accuracy), alphanumeric)
    truncated = sum(line.transcription.truncated for line in evaluation.lines)
    table.add_row("cut off at the length limit", str(truncated), "lines")
    table.add_row("time to recognise", f"{1000 * evaluation.seconds / max(counts.lines, 1):.1f} ms", "per line")
    return table


def _thresholds(rows: list[ThresholdRow]) -> Table:
    table = Table(title="review threshold", title_justify="left")
    for heading in ("below", "sent to review", "errors caught", "wrong among accepted", "CER of accepted"):
        table.add_column(heading, justify="right")
    for row in rows:
        cells = (row.reviewed, row.caught, row.wrong_accepted, row.cer_accepted)
        table.add_row(f"{row.threshold:.2f}", *(_percent(cell) for cell in cells))
    return table


def _temperature(fit: Fit | None) -> str:
    if fit is None:
        return "Too few lines, right or wrong, to fit a temperature."
    return (
        f"A temperature of {fit.temperature:.3f}, fitted on {fit.fitted_on} lines, takes it from "
        f"{_percent(fit.ece_before)} to {_percent(fit.ece_after)} on the other {fit.held_out}."
    )


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.2f} %"
