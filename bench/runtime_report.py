"""What the rows of the runtime bench say: the table, the ratios, and whether the tokens are the same."""

from typing import Any

OWN_ROWS = ("ours-float32", "ours-int8")
SERVICE_ROWS = ("service-float32", "service-int8")


def ratios(rows: dict[str, dict[str, Any]], hardware: dict[str, float], deltas: float | None) -> dict[str, Any]:
    """Return how our rows compare; None where a row is missing."""

    def speed(row: str) -> float | None:
        return rows[row]["lines_per_second"] if row in rows else None

    def over(ours: str, theirs: str) -> float | None:
        mine, other = speed(ours), speed(theirs)
        return None if mine is None or other is None else mine / other

    peers = [row["first_line_seconds"] for name, row in rows.items() if name not in OWN_ROWS + SERVICE_ROWS]
    own = [rows[name]["first_line_seconds"] for name in OWN_ROWS if name in rows]
    share = rows["ours-float32"]["limit_share"] if "ours-float32" in rows else None
    served = [over(service, ours) for service, ours in zip(SERVICE_ROWS, OWN_ROWS, strict=True)]
    return {
        "float32_vs_pipeline": over("ours-float32", "pipeline-cached"),
        "float32_vs_generate_batched": over("ours-float32", "generate-batched"),
        "int8_vs_pipeline": over("ours-int8", "pipeline-cached"),
        "int8_vs_openvino_int8": over("ours-int8", "openvino-int8"),
        "single_vs_best_peer": min(peers) / min(own) if peers and own else None,
        "float32_limit_share": share,
        "int8_cer_delta_points": deltas,
        "service_vs_runtime": min((ratio for ratio in served if ratio is not None), default=None),
        "hardware": hardware,
    }


def tokens_equal(rows: dict[str, dict[str, Any]]) -> tuple[int, int] | None:
    """Return how many of our float32 tokens are generate's, of how many; the forced last ones do not count."""
    reference = rows.get("generate-batched") or rows.get("pipeline-cached")
    if reference is None or "ours-float32" not in rows:
        return None
    equal = total = 0
    for mine, theirs in zip(rows["ours-float32"]["tokens"], reference["tokens"], strict=False):
        pairs = list(zip(mine[:-1], theirs[:-1], strict=True))
        equal += sum(a == b for a, b in pairs)
        total += len(pairs)
    return equal, total


def print_table(rows: dict[str, dict[str, Any]]) -> None:
    """Print the rows as Markdown."""
    print("\n| row | batch | lines/s | s/line | CPU s/line | first line, s | peak (resident) memory, MB | limit |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        print(
            f"| {name} | {row['batch']} | {row['lines_per_second']:.2f} | {row['seconds_per_line']:.3f} "
            f"| {row['cpu_seconds_per_line']:.2f} | {row['first_line_seconds']:.2f} "
            f"| {row['peak_memory_mb']:.0f} ({row['resident_memory_mb']:.0f}) | {row['limit_share']:.0%} |"
        )
