"""The block of figures about the input pipeline, of benchmarks/input.py.

print(input_pipeline())
"""

from figures import machine, read, spread, table


def input_pipeline() -> str:
    """Return the tables of the input pipeline."""
    facts = read("benchmarks/input.json")
    tables = {name: rows for name, rows in facts["tables"].items() if isinstance(rows, dict)}
    parts = [_times(tables), _ratios(tables), _quality(tables), _other_figures(facts), _stages(facts["stages"])]
    kilobytes = " and ".join(f"{size} kB" for size in facts["mean_kilobytes"])
    rounds = f"Medians and quartiles of {facts['tables']['rounds']} rounds."
    closing = f"JPEG quality {facts['quality']}, {kilobytes} on average. {rounds} {machine(facts['versions'])}"
    return "\n\n".join([*parts, closing])


def _times(tables: dict) -> str:
    ways = next(iter(tables.values()))["microseconds"]
    rows = [[way, *(spread(row["microseconds"][way], 0) for row in tables.values())] for way in ways]
    return table(["microseconds per image", *tables], rows)


def _ratios(tables: dict) -> str:
    header = [
        "photographs",
        *(f"to plain tf.data, {name}" for name in ("default", "antialias=False", "float32 batches")),
        *(f"D = 4 to D = 1, {name}" for name in ("default", "antialias=False")),
        "to a Pillow loop",
        "share of the decoding limit",
    ]
    rows = [
        [
            name,
            *(spread(figures, 2) for figures in row["ratio_to_plain"].values()),
            *(spread(figures, 2) for figures in row["ratio_of_duplicates"].values()),
            spread(row["ratio_to_pillow"]["keras_mixsize"], 2),
            spread(row["share_of_decoding_limit"], 2),
        ]
        for name, row in tables.items()
    ]
    return table(header, rows)


def _quality(tables: dict) -> str:
    ways = list(next(iter(tables.values()))["difference"])
    rows = [[name, *(f"{row['difference'][way]:.2f}" for way in ways)] for name, row in tables.items()]
    return table(["mean difference of 255", *ways], rows)


def _other_figures(facts: dict) -> str:
    """Return the figures of the regime, the cores, other loaders and memory."""
    regime, memory = facts["regime"], facts["memory"]
    rows = [
        [f"S(144) to plain tf.data at 144 px, {name}", spread(figures, 2)]
        for name, figures in regime["ratio_to_plain"].items()
    ]
    rows += [[f"two cores to one, {name}", spread(found["ratio"], 2)] for name, found in regime["two_cores"].items()]
    rows += [
        [f"to a {name} loader, 128 px", spread(found["ratio"], 2) if "ratio" in found else found["not compared"]]
        for name, found in facts["loaders"].items()
        if isinstance(found, dict)
    ]
    growth = ", ".join(f"{size:,}" for size in memory["rss_mb_by_tenth"])
    rows.append([f"memory over {memory['images']:,} images, MB, by tenths", growth])
    return table(["other figures", ""], rows)


def _stages(stages: dict) -> str:
    shares = [[name, str(part)] for name, part in stages.items() if name not in ("load", "rounds")]
    return table(["stage, 128 px", "microseconds per image"], shares)
