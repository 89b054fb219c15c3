"""The blocks of figures about an export: its time beside Keras's, size cascades, other engines.

print(export())
"""

from figures import interval, machine, read, spread, table


def export() -> str:
    """Return the export's time, start and bytes beside Keras's export."""
    facts = read("benchmarks/serving.json")
    calls = f"{facts['rounds']} calls of each, in turns; quartiles of the ratio over ten parts."
    parts = [_calls(facts["sizes"]), _between_sizes(facts), _start(facts["start"]), _bytes(facts["bytes"])]
    return "\n\n".join([*parts, _cascade_time(facts["cascade"]), f"{calls} {machine(facts['versions'])}"])


def _calls(sizes: list[dict]) -> str:
    header = ["size", "batch", "ms: p50 (quartiles)", "p99", "images per second", "Keras's p50"]
    rows = [
        [
            f"{row['size']} px",
            str(row["batch"]),
            spread([row["ours"][f"p{part}_ms"] for part in (25, 50, 75)], 2),
            f"{row['ours']['p99_ms']:.2f}",
            f"{row['ours']['images_per_second']:,.0f}",
            f"{row['keras']['p50_ms']:.2f}",
            spread(row["ratio"], 3),
        ]
        for row in sizes
    ]
    return table([*header, "ratio to it (quartiles)"], rows)


def _between_sizes(facts: dict) -> str:
    """Return the time of each size beside its compute, both relative to the largest size."""
    costs = {int(size): cost for size, cost in facts["multiply_adds"].items()}
    largest, batches = max(costs), sorted({row["batch"] for row in facts["sizes"]})
    times = {(row["size"], row["batch"]): row["ours"]["p50_ms"] for row in facts["sizes"]}
    header = [f"of {largest} px", "multiply-adds", *(f"time, batch {batch}" for batch in batches)]
    rows = []
    for size, cost in costs.items():
        shares = [times[size, batch] / times[largest, batch] for batch in batches]
        rows.append([f"{size} px", *(f"{share:.2f}" for share in (cost / costs[largest], *shares))])
    return table(header, rows)


def _start(start: dict) -> str:
    names = {"cold": "export", "warmed_up": "export, warmed up", "keras": "Keras's export"}
    rows = []
    for kind, row in start.items():
        warm_up = f"{row['warm_up']:,.0f}" if "warm_up" in row else ""
        rows.append([names[kind], f"{row['load']:,.0f}", warm_up, f"{row['first_answer']:.1f}"])
    return table(["", "load, ms", "warm-up, ms", "first answer, ms"], rows)


def _bytes(size: dict) -> str:
    ours, keras = size["ours"], size["keras"]
    return (
        f"Bytes: weights {size['weights']:,}, statistics of a size {size['statistics']:,}; the export's variables "
        f"{ours['variables']:,} and graph {ours['graph']:,}; those of Keras's export {keras['variables']:,} "
        f"(it writes each weight twice) and {keras['graph']:,}."
    )


def _cascade_time(found: dict) -> str:
    """Return in words what the cascade takes and reaches."""
    pair = found["cascade"]
    return (
        f"The cascade of {pair['small']} and {pair['large']} px, on the {found['images']:,} test images that did not "
        f"fit it, in batches of {found['batch']}: {spread(found['time_ratio'], 2)} of the time of {pair['large']} px, "
        f"with an accuracy of {found['accuracy']['cascade']:.1%} against {found['accuracy']['large']:.1%}."
    )


def cascades() -> str:
    """Return what cascades for several wanted accuracies reach."""
    facts = read("benchmarks/cascade.json")
    header = ["cascade", "threshold", "accuracy where fitted", "accuracy on others [95 %]", "looked twice"]
    rows = [
        [
            f"{row['fitted']['small']}, {row['fitted']['large']} px",
            f"{row['fitted']['threshold']:.3f}",
            f"{100 * row['fitted']['accuracy']['value']:.1f}",
            interval(row["accuracy"]),
            f"{row['share']:.1%}",
            f"{row['multiply_adds'] / 1e6:.2f}",
        ]
        for row in facts["cascades"]
    ]
    alone = [
        [f"{row['size']} px alone", "", "", interval(row["calibrated"]), "", f"{row['multiply_adds'] / 1e6:.2f}"]
        for row in facts["report"]["rows"]
    ]
    return table([*header, "million multiply-adds"], rows + alone)


def converters() -> str:
    """Return each converted model beside the export."""
    facts = read("benchmarks/converters.json")
    header = ["size", "engine", "accuracy", "export's", "same answer", "largest difference of logits", "kB"]
    rows = []
    for row in facts["rows"]:
        shares = [f"{row[name]:.2%}" for name in ("accuracy", "export_accuracy", "agreement")]
        sizes = [f"{row['largest_difference']:.1e}", f"{row['bytes'] / 1000:,.0f}"]
        rows.append([f"{row['size']} px", row["engine"], *shares, *sizes])
    return f"{table(header, rows)}\n\nOn all {facts['images']:,} test images. {machine(facts['versions'])}"
