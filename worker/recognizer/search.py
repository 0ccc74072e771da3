"""Which token comes next: greedy and beam search over the lines of a running batch.

Both follow transformers' `generate` to the token; a line's search never depends on its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from worker.recognizer.configuration import SearchRules
from worker.recognizer.hypothesis import Hypothesis


@dataclass(frozen=True, slots=True)
class Advance:
    """What one step led to.

    `finished` holds the seats whose line is read, with its hypotheses, best first. `order` says which row each row
    goes on from, or None when each goes on from itself.
    """

    finished: dict[int, tuple[Hypothesis, ...]]
    order: list[int] | None = None


class Search(Protocol):
    """The searches of all seats of a running batch."""

    beams: int

    def start(self, max_new_tokens: int, top_tokens: int = 0) -> None:
        """Begin a line at the next free seat; greedy search tells so many of the most probable tokens at each place."""

    def advance(self, logits: Tensor) -> Advance:
        """Choose each row's next token, given logits (R, V)."""

    def last_tokens(self) -> list[int]:
        """Return the token that each row feeds to the next step."""

    def lengths(self) -> list[int]:
        """Return how many tokens each row has fed so far."""

    def vacate(self, seat: int) -> None:
        """Let the line of the last seat move to `seat`, whose own line is finished."""


def make_search(rules: SearchRules, beams: int) -> Search:
    """Return a search with so many beams; one beam is greedy."""
    return GreedySearch(rules) if beams == 1 else BeamSearch(rules, beams)


def without_repeats(scores: Tensor, rows: Sequence[Sequence[int]], rules: SearchRules) -> Tensor:
    """Return scores (R, V) with those tokens at minus infinity that would repeat an n-gram of their row."""
    size = rules.no_repeat_ngram_size
    scores = scores.clone()
    for row, tokens in enumerate(rows):
        sequence = (rules.start_token, *tokens)
        if len(sequence) + 1 < size:
            continue
        prefix = sequence[len(sequence) - size + 1 :]
        banned = [
            sequence[at + size - 1] for at in range(len(sequence) - size + 1) if sequence[at : at + size - 1] == prefix
        ]
        if banned:
            scores[row, banned] = float("-inf")
    return scores


@dataclass(slots=True)
class _GreedyLine:
    max_new_tokens: int
    top_tokens: int
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    top: list[tuple[tuple[int, float], ...]] = field(default_factory=list)


class GreedySearch:
    """The most probable token at every step."""

    beams = 1

    def __init__(self, rules: SearchRules) -> None:
        self._rules = rules
        self._lines: list[_GreedyLine] = []

    def start(self, max_new_tokens: int, top_tokens: int = 0) -> None:
        """Begin a line at the next free seat."""
        self._lines.append(_GreedyLine(max_new_tokens, top_tokens))

    def last_tokens(self) -> list[int]:
        """Return the token that each row feeds to the next step."""
        return [line.tokens[-1] if line.tokens else self._rules.start_token for line in self._lines]

    def lengths(self) -> list[int]:
        """Return how many tokens each row has fed so far."""
        return [len(line.tokens) for line in self._lines]

    def vacate(self, seat: int) -> None:
        """Let the line of the last seat move to `seat`."""
        self._lines[seat] = self._lines[-1]
        self._lines.pop()

    def advance(self, logits: Tensor) -> Advance:
        """Choose each row's next token, given logits (R, V)."""
        norms = logits.logsumexp(dim=-1)
        if self._rules.no_repeat_ngram_size:
            logits = without_repeats(logits, [line.tokens for line in self._lines], self._rules)
        best, tokens = logits.max(dim=-1)
        log_probabilities = (best - norms).tolist()
        if any(line.top_tokens for line in self._lines):
            self._note_top(logits, norms)
        finished: dict[int, tuple[Hypothesis, ...]] = {}
        for seat, (line, token) in enumerate(zip(self._lines, tokens.tolist(), strict=True)):
            line.tokens.append(token)
            line.log_probabilities.append(log_probabilities[seat])
            ended = token in self._rules.end_tokens
            if ended or len(line.tokens) >= line.max_new_tokens:
                score = sum(line.log_probabilities)
                finished[seat] = (
                    Hypothesis(
                        tuple(line.tokens), tuple(line.log_probabilities), score, not ended, top=tuple(line.top)
                    ),
                )
        return Advance(finished)

    def _note_top(self, logits: Tensor, norms: Tensor) -> None:
        """Note each row's most probable next tokens, given logits (R, V) and their norms (R), where a line asks."""
        most = min(max(line.top_tokens for line in self._lines), logits.shape[-1])
        values, tokens = torch.topk(logits, k=most, dim=-1)
        values = values - norms[:, None]
        for line, row_tokens, row_values in zip(self._lines, tokens.tolist(), values.tolist(), strict=True):
            if line.top_tokens:
                line.top.append(tuple(zip(row_tokens, row_values, strict=True))[: line.top_tokens])


@dataclass(slots=True)
class _Beam:
    """A partial reading; scores are float32, as in transformers, so that ties and limits fall alike."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    score: np.float32


@dataclass(slots=True)
class _BeamLine:
    max_new_tokens: int
    running: list[_Beam]
    finished: list[Hypothesis] = field(default_factory=list)


_NEVER = np.float32(-1e9)


class BeamSearch:
    """Beam search with transformers' length penalty and early stopping.

    The formulas are those of `GenerationMixin._beam_search` of transformers 5; scores that it pushes to -1e9 because
    they cannot be chosen are left out here.
    """

    def __init__(self, rules: SearchRules, beams: int) -> None:
        self.beams = beams
        self._rules = rules
        self._kept = max(2, 1 + len(rules.end_tokens)) * beams
        self._lines: list[_BeamLine] = []

    def start(self, max_new_tokens: int, top_tokens: int = 0) -> None:  # noqa: ARG002 - a beam's places are no choice
        """Begin a line at the next free seat."""
        # only the first beam counts at first, or all beams would be the same
        running = [_Beam((), (), np.float32(0.0) if beam == 0 else _NEVER) for beam in range(self.beams)]
        self._lines.append(_BeamLine(max_new_tokens, running))

    def last_tokens(self) -> list[int]:
        """Return the token that each row feeds to the next step."""
        start = self._rules.start_token
        return [beam.tokens[-1] if beam.tokens else start for line in self._lines for beam in line.running]

    def lengths(self) -> list[int]:
        """Return how many tokens each row has fed so far."""
        return [len(beam.tokens) for line in self._lines for beam in line.running]

    def vacate(self, seat: int) -> None:
        """Let the line of the last seat move to `seat`."""
        self._lines[seat] = self._lines[-1]
        self._lines.pop()

    def advance(self, logits: Tensor) -> Advance:
        """Choose each row's next token, given logits (R, V)."""
        lines, beams, vocabulary = len(self._lines), self.beams, logits.shape[-1]
        scores = torch.tensor(
            [[beam.score for beam in line.running] for line in self._lines], dtype=torch.float32, device=logits.device
        )
        allowed = log_probabilities = logits.log_softmax(dim=-1)  # (R, V)
        if self._rules.no_repeat_ngram_size:
            rows = [beam.tokens for line in self._lines for beam in line.running]
            allowed = without_repeats(log_probabilities, rows, self._rules)
        sums = (allowed.view(lines, beams, vocabulary) + scores[:, :, None]).view(lines, -1)
        best_sums, best = torch.topk(sums, k=self._kept)  # (lines, kept)
        own = log_probabilities.view(lines, -1).gather(1, best).tolist()
        order: list[int] = []
        finished: dict[int, tuple[Hypothesis, ...]] = {}
        for seat, (line, totals, places) in enumerate(
            zip(self._lines, best_sums.cpu().numpy(), best.tolist(), strict=True)
        ):
            parents = [place // vocabulary for place in places]
            candidates = [
                _Beam(
                    (*line.running[parent].tokens, place % vocabulary),
                    (*line.running[parent].log_probabilities, log_probability),
                    total,
                )
                for parent, place, log_probability, total in zip(parents, places, own[seat], totals, strict=True)
            ]
            kept = self._continue(line, candidates)
            if kept is None:
                finished[seat] = tuple(line.finished)
                order.extend(range(seat * beams, (seat + 1) * beams))
            else:
                order.extend(seat * beams + parents[number] for number in kept)
        return Advance(finished, order)

    def _continue(self, line: _BeamLine, candidates: list[_Beam]) -> list[int] | None:
        """Update a line with its candidates, best first; return the candidates that go on, or None when it is read."""
        length = len(candidates[0].tokens)
        at_limit = length >= line.max_new_tokens
        ends = [at_limit or beam.tokens[-1] in self._rules.end_tokens for beam in candidates]
        penalty = np.float32(length**self._rules.length_penalty)
        line.finished += [
            Hypothesis(
                beam.tokens,
                beam.log_probabilities,
                float(beam.score / penalty),
                truncated=beam.tokens[-1] not in self._rules.end_tokens,
            )
            for beam, end in zip(candidates[: self.beams], ends, strict=False)
            if end
        ]
        line.finished = sorted(line.finished, key=lambda hypothesis: -hypothesis.score)[: self.beams]
        going_on = [number for number, end in enumerate(ends) if not end][: self.beams]
        if at_limit or len(going_on) < self.beams or self._is_settled(line, candidates[going_on[0]], length):
            return None
        line.running = [candidates[number] for number in going_on]
        return going_on

    def _is_settled(self, line: _BeamLine, best: _Beam, length: int) -> bool:
        """Return whether no running beam can, or by the rules may, still displace a finished hypothesis."""
        if len(line.finished) < self.beams:
            return False
        if self._rules.early_stopping is True:
            return True
        penalty = self._rules.length_penalty
        hopes_for_length = self._rules.early_stopping == "never" and penalty > 0.0
        reach = line.max_new_tokens if hopes_for_length else length
        return bool(best.score / np.float32(reach**penalty) <= np.float32(line.finished[-1].score))
