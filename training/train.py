"""Train the starter model from scratch on two CPU cores, within a time budget; run it again to resume.

First the encoder alone, with a CTC head and the true place of every character; then the decoder on top as well, its
cross-attention guided to those places at first; rates fall to zero at the end of the budget, however fast the machine.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import multiprocessing

from training.batches import Batches
from training.fonts import load_fonts
from training.lines import LineSource
from training.losses import decoder_loss, encoder_loss
from training.pool import fit
from training.reading import check
from training.team import Member, Team

RUN = Path(__file__).resolve().parent / "runs" / "starter"
DECODER_START, GUIDE_UNTIL, PLACES_UNTIL = 0.10, 0.45, 0.30  # shares of the time budget
GUIDE_AFTERWARDS = 0.1  # without it some lines end in a loop
ENCODER_LOSS_WEIGHT, GUIDE_WEIGHT = 0.3, 0.3  # beside the decoder's own loss
HEAD_STEPS = 150
CHECK_SECONDS = 240
HELD_OUT_SEED = 11


def train(team: Team, rank: int, folder: Path, budget_seconds: float, head_steps: int) -> None:
    """Train until the budget is spent, as one member of the team.

    In the first `head_steps` steps the CTC head learns alone, so that an untrained one spoils no trained encoder.
    """
    torch.set_num_threads(1)
    parent = os.getppid()
    member = Member(team, rank, folder)
    member.load()
    team.meet()
    trainee = team.trainee
    _, step, decoder_steps, _ = team.counters.tolist()
    generator = torch.Generator().manual_seed(int(step) * team.size + rank)
    batches = Batches(folder / "pool", int(step) * team.size + rank)
    fonts = load_fonts()
    held_out = {}
    for name, unseen in list({"seen": False, "unseen": True}.items())[rank :: team.size]:
        source = LineSource([face for face in fonts if face.is_unseen == unseen], HELD_OUT_SEED)
        held_out[name] = [fit(source.line()) for _ in range(160)]
    log = (folder / "train.log").open("a", encoding="utf-8", buffering=1)
    last = last_log = time.monotonic()
    log_seconds, log_lines = team.counters[0].item(), team.lines.sum().item()
    totals: dict[str, list[float]] = {}
    stages: list[int] = []
    while True:
        seconds, step, decoder_steps, lines = team.counters.tolist()
        if seconds >= budget_seconds or os.getppid() != parent:
            break
        share = seconds / budget_seconds
        # Both members come here with the same counters, so they check and save at the same steps.
        stage = int(seconds // CHECK_SECONDS)
        if stages and stage not in stages:
            print(f"{seconds:.0f} s: {check(team.average, held_out, share >= DECODER_START)}", file=log)
            member.save()
        stages = [stage]
        batch = batches.next(share)
        member.set_rates(share, int(step), int(decoder_steps))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = trainee.encode(batch.pixels)
            heard = states.detach() if step < head_steps else states
            loss = first = encoder_loss(trainee, heard, batch, max(0.0, 1 - share / PLACES_UNTIL))
            parts = {"encoder": first.item()}
            if share >= DECODER_START:
                guide = max(GUIDE_AFTERWARDS, GUIDE_WEIGHT * (1 - share / GUIDE_UNTIL))
                loss, bare = decoder_loss(trainee, states, batch, guide, generator)
                loss = loss + ENCODER_LOSS_WEIGHT * first
                parts["decoder"] = bare.item()
        loss.backward()
        team.lines[rank] += len(batch.tokens)
        parts["norm"] = member.step(int(step))
        for name, value in parts.items():
            totals.setdefault(name, []).append(value)
        if rank == 0:
            now = time.monotonic()
            seconds += min(now - last, 60.0)
            last = now
            lines += team.lines.sum().item() - log_lines
            log_lines = team.lines.sum().item()
            decoder_steps += share >= DECODER_START
            team.counters.copy_(torch.tensor([seconds, step + 1, decoder_steps, lines], dtype=torch.float64))
            if now - last_log > 30:
                (folder / "pool" / "lines_seen").write_text(str(int(lines)))
                means = " ".join(f"{name} {np.mean(values):.3f}" for name, values in totals.items())
                pace = len(totals["norm"]) / (seconds - log_seconds)
                print(f"{seconds:.0f} s, step {step:.0f} ({pace:.2f}/s), {lines:.0f} lines: {means}", file=log)
                totals, last_log, log_seconds = {}, now, seconds
        team.meet()
    member.save()
    print(f"end: {check(team.average, held_out, True)}", file=log)


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=RUN)
    parser.add_argument("--minutes", type=float, default=100, help="the time budget; the rates fall to zero at its end")
    parser.add_argument("--processes", type=int, default=2, help="training processes of one thread each")
    parser.add_argument("--start-from", type=Path, help="an exported checkpoint whose weights a new run begins with")
    parser.add_argument("--at", type=float, default=0.0, help="minutes of the budget that such a start has behind it")
    arguments = parser.parse_args()
    pool = arguments.folder / "pool"
    pool.mkdir(parents=True, exist_ok=True)
    renderer = subprocess.Popen([sys.executable, "-m", "training.pool", str(pool)])
    team = Team(arguments.processes, arguments.start_from)
    team.counters[0] = arguments.at * 60  # a checkpoint of this folder says otherwise
    context = multiprocessing.get_context("spawn")
    members = [
        context.Process(
            target=train,
            args=(team, rank, arguments.folder, arguments.minutes * 60, HEAD_STEPS if arguments.start_from else 0),
        )
        for rank in range(arguments.processes)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join()
    renderer.terminate()
    if any(member.exitcode for member in members):
        raise SystemExit("a training process ended early; run the same command again to go on from the checkpoint")


if __name__ == "__main__":
    main()
