"""What a CUDA graph relies on, checked on a CPU: fixed shapes and filler rows change nothing."""

import pytest
import torch

from tests.unit.recognizer.checkpoints import SHAPES, save_checkpoint
from worker.recognizer.cache import Cache
from worker.recognizer.checkpoint import resolve_checkpoint
from worker.recognizer.stepping import round_up
from worker.recognizer.trocr import TrocrRecognizer


@pytest.mark.parametrize("beams", [1, 3])
@torch.inference_mode()
def test_a_step_of_fixed_shape_gives_each_row_what_its_own_shape_gives(tmp_path, beams):
    folder = save_checkpoint(tmp_path / "base", SHAPES["base"])
    batch = TrocrRecognizer(resolve_checkpoint(str(folder)), device="cpu", precision="float32", threads=1).batch
    decoder, cache, seats = batch._decoder, batch._cache, 3
    memory = decoder.remember(batch._encoder.encode(torch.randn(seats, 3, 32, 32)), beams=beams)
    cache.open(round_up(seats, 8), beams)
    for seat in range(seats):
        cache.seat(seat, memory, seat)
    rows = seats * beams
    tokens, lengths = torch.arange(5, 5 + rows), torch.zeros(rows, dtype=torch.long)
    decoder.step(cache, tokens, lengths, 1, is_ragged=False)
    exact = decoder.step(cache, tokens + 1, lengths + 1, 2, is_ragged=False)

    filler = torch.zeros(cache.seats * beams - rows, dtype=torch.long)
    padded = decoder.step(
        cache, torch.cat([tokens + 1, filler]), torch.cat([lengths + 1, filler]), cache.capacity, is_ragged=True
    )

    torch.testing.assert_close(padded[:rows], exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("seats", "most", "expected"), [(1, 8, 1), (3, 8, 4), (5, 8, 8), (5, 6, 6), (8, 8, 8)])
def test_seats_are_rounded_up_to_a_power_of_two_within_the_room(seats, most, expected):
    assert round_up(seats, most) == expected


@torch.inference_mode()
def test_a_cache_grows_by_small_steps_on_a_cpu_and_keeps_what_it_holds():
    cache = Cache(layers=1, heads=1, head_width=2, max_length=512, device=torch.device("cpu"), dtype=torch.float32)
    cache.open(1, 1)
    keys, _ = cache.append(0, torch.ones(1, 2), torch.ones(1, 2), cache.places(torch.tensor([0])), 1)

    cache.reserve(33)

    assert cache.capacity == 48
    grown, _ = cache.append(0, torch.zeros(1, 2), torch.zeros(1, 2), cache.places(torch.tensor([1])), 2)
    torch.testing.assert_close(grown[:, :, :1], keys)
