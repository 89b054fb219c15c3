"""Writes the measured figures into README.md and the pages of docs/, from the JSON files that the experiments left.

    python experiments/write_docs.py

Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`; a test checks that the pages are up to date.
"""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]


def read(name: str) -> dict:
    """Return a JSON file of the documentation."""
    return json.loads((ROOT / "docs" / name).read_text())


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, numbers to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(versions: dict) -> str:
    """Return what a figure was measured with, in one line."""
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "machine")
    return f"Measured on {versions['machine']} (shared), without a GPU; {packages}."


def demo() -> str:
    """Return the demo's table and words."""
    facts = read("demo/demo.json")
    reports = facts["reports"]
    header = ["test size", *(f"{report['name']}" for report in reports)]
    rows = [
        [f"{row['size']} px", *(f"{100 * report['rows'][index]['calibrated']['value']:.1f} %" for report in reports)]
        for index, row in enumerate(reports[0]["rows"])
    ]
    words = "\n".join(f"- {line}" for line in facts["words"])
    return f"Accuracy, calibrated for each test size:\n\n{table(header, rows)}\n\n{words}"


def demo_details() -> str:
    """Return every report of the demo in full."""
    facts = read("demo/demo.json")
    parts = []
    for report in facts["reports"]:
        header = ["size", "accuracy [95 %]", "calibrated [95 %]", "loss", "million multiply-adds", "ms per image"]
        rows = [
            [
                str(row["size"]),
                interval(row["accuracy"]),
                interval(row["calibrated"]),
                f"{row['calibrated_loss']:.3f}",
                f"{row['multiply_adds'] / 1e6:.2f}",
                f"{row['latency_ms']:.3f}",
            ]
            for row in report["rows"]
        ]
        parts.append(f"**{report['name']}**\n\n{table(header, rows)}")
    return "\n\n".join([*parts, f"The whole run took {facts['seconds']} s. {machine(facts['versions'])}"])


def interval(accuracy: dict) -> str:
    """Return an accuracy with its interval, in percent."""
    return f"{100 * accuracy['value']:.1f} [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]"


def spread(figures: list[float], digits: int) -> str:
    """Return a median with its quartiles."""
    low, median, high = figures
    return f"{median:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def benchmark() -> str:
    """Return the benchmark's tables."""
    facts = read("benchmarks/step_time.json")
    steps, pipeline = facts["steps"], facts["pipeline"]
    step_rows = [
        [name, spread(figures, 1), spread(steps["ratio_to_stock"][name], 3) if name != "stock" else "1"]
        for name, figures in steps["ms_per_step_at_base_cost"].items()
    ]
    size_rows = [
        [f"{name}, {size} px", spread(figures, 1)]
        for name, sizes in steps["ms_at_base_cost_by_size"].items()
        for size, figures in sizes.items()
        if name != "baseline"
    ]
    pipe_rows = [
        [name, spread(figures, 0), spread(pipeline["ratio_to_plain"][name], 2) if name != "plain tf.data" else "1"]
        for name, figures in pipeline["images_per_second"].items()
    ]
    step_header = [f"{facts['model']}, regime", "ms per step at the base's cost", "ratio to stock Keras `fit`"]
    return "\n\n".join(
        [
            table(step_header, step_rows),
            table(["bucket", "ms per step at the base's cost"], size_rows),
            table(["pipeline alone", "images per second", "ratio to plain tf.data"], pipe_rows),
            f"Medians and quartiles of {facts['rounds']} turns of {facts['steps_per_turn']} steps. "
            f"{machine(facts['versions'])}",
        ]
    )


def input_pipeline() -> str:
    """Return the tables of the input pipeline."""
    facts = read("benchmarks/input.json")
    tables = {name: rows for name, rows in facts["tables"].items() if isinstance(rows, dict)}
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
    differences = list(next(iter(tables.values()))["difference"])
    quality = [[name, *(f"{row['difference'][way]:.2f}" for way in differences)] for name, row in tables.items()]
    first = next(iter(tables.values()))
    times = [[way, *(spread(row["microseconds"][way], 0) for row in tables.values())] for way in first["microseconds"]]
    parts = [table(["microseconds per image", *tables], times), table(header, rows)]
    parts += [table(["mean difference of 255", *differences], quality), input_others(facts)]
    kilobytes = " and ".join(f"{size} kB" for size in facts["mean_kilobytes"])
    closing = f"JPEG quality {facts['quality']}, {kilobytes} on average. Medians and quartiles of {facts['tables']['rounds']} rounds."
    return "\n\n".join([*parts, f"{closing} {machine(facts['versions'])}"])


def input_others(facts: dict) -> str:
    """Return what else was measured of the input pipeline: a table of figures and their aims, and the stages."""
    regime, memory, stages = facts["regime"], facts["memory"], facts["stages"]
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
    shares = [[name, str(part)] for name, part in stages.items() if name not in ("load", "rounds")]
    return f"{table(['other figures', ''], rows)}\n\n{table(['stage, 128 px', 'microseconds per image'], shares)}"


def recipe() -> str:
    """Return what the demo's settings were chosen from."""
    facts = read("demo/recipe.json")
    sizes = list(facts["rows"][0]["accuracy"])
    header = ["regime", "padding", "learning rate", *(f"{size} px" for size in sizes)]
    rows = [
        [
            row["mode"],
            str(row["padding"]),
            str(row["learning_rate"]),
            *(f"{row['accuracy'][size]:.1f}" for size in sizes),
        ]
        for row in facts["rows"]
    ]
    return table(header, rows)


def zoo() -> str:
    """Return a table of each network and precision, bucket by bucket."""
    facts = read("benchmarks/zoo.json")
    header = ["S x B x D", "first step, s", "step, ms", "ratio to the plain step, per pixel", "peak, MiB"]
    parts = []
    for result in facts["results"]:
        rows = [
            [
                f"{row['size']} x {row['batch']} x {row['duplicates']}",
                f"{row['first_step_seconds']:.1f}",
                f"{row['step_ms'][1]:,.0f}",
                spread(row["ratio_per_pixel"], 2),
                f"{row['peak_mib']:,}",
            ]
            for row in result["buckets"]
        ]
        plain = f"plain step {spread(result['plain_ms'], 0)} ms, {result['rounds']} rounds"
        title = f"**{result['network']}, {result['precision']}** ({plain})"
        parts.append(f"{title}\n\n{table(header, rows)}")
    closing = (
        f"Medians and quartiles over the rounds; base batch of the CIFAR rows {facts['cifar_batch']}, "
        f"of the ImageNet rows {facts['imagenet_batch']}. "
        f"{machine(facts['versions'])}"
    )
    return "\n\n".join([*parts, closing])


def accuracy() -> str:
    """Return the table of accuracies beside the paper's, and every run in it by size."""
    facts = read("runs/accuracy.json")
    sizes = sorted({int(size) for run in facts["runs"] for size in run["accuracy"]})
    header = ["recipe", "seed", "epochs", "steps", "minutes", *(f"{size} px" for size in sizes)]
    rows = [
        [
            run["recipe"],
            str(run["seed"]),
            str(run["epochs"]),
            f"{run['steps']:,}",
            f"{run['train_seconds'] / 60:.0f}",
            *(f"{run['accuracy'][str(size)]:.2f}" if str(size) in run["accuracy"] else "" for size in sizes),
        ]
        for run in facts["runs"]
    ]
    closing = f"Accuracy in percent, calibrated. {machine(facts['runs'][0]['versions'])}"
    return f"{facts['table']}\n\n{table(header, rows)}\n\n{closing}"


def serving() -> str:
    """Return the export's time, start and bytes beside Keras's export."""
    facts = read("benchmarks/serving.json")
    header = [
        "size",
        "batch",
        "ms: p50 (quartiles)",
        "p99",
        "images per second",
        "Keras's p50",
        "ratio to it (quartiles)",
    ]
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
        for row in facts["sizes"]
    ]
    closing = f"{facts['rounds']} calls of each, in turns; quartiles of the ratio over ten parts. {machine(facts['versions'])}"
    return "\n\n".join(
        [table(header, rows), between_sizes(facts), start_and_bytes(facts), cascade_time(facts), closing]
    )


def between_sizes(facts: dict) -> str:
    """Return the time of each size beside its compute, both relative to the largest size."""
    costs = {int(size): cost for size, cost in facts["multiply_adds"].items()}
    largest, batches = max(costs), sorted({row["batch"] for row in facts["sizes"]})
    times = {(row["size"], row["batch"]): row["ours"]["p50_ms"] for row in facts["sizes"]}
    header = [f"of {largest} px", "multiply-adds", *(f"time, batch {batch}" for batch in batches)]
    rows = [
        [
            f"{size} px",
            f"{cost / costs[largest]:.2f}",
            *(f"{times[size, batch] / times[largest, batch]:.2f}" for batch in batches),
        ]
        for size, cost in costs.items()
    ]
    return table(header, rows)


def start_and_bytes(facts: dict) -> str:
    """Return what starting takes, and the space on the disk."""
    start, size = facts["start"], facts["bytes"]
    header = ["", "load, ms", "warm-up, ms", "first answer, ms"]
    names = {"cold": "export", "warmed_up": "export, warmed up", "keras": "Keras's export"}
    rows = [
        [
            name,
            f"{row['load']:,.0f}",
            f"{row['warm_up']:,.0f}" if "warm_up" in row else "",
            f"{row['first_answer']:.1f}",
        ]
        for name, row in ((names[kind], row) for kind, row in start.items())
    ]
    ours, keras = size["ours"], size["keras"]
    words = (
        f"Bytes: weights {size['weights']:,}, statistics of a size {size['statistics']:,}; the export's variables "
        f"{ours['variables']:,} and graph {ours['graph']:,}; those of Keras's export {keras['variables']:,} (it writes each "
        f"weight twice) and {keras['graph']:,}."
    )
    return f"{table(header, rows)}\n\n{words}"


def cascade_time(facts: dict) -> str:
    """Return in words what the cascade takes and reaches."""
    found = facts["cascade"]
    pair = found["cascade"]
    return (
        f"The cascade of {pair['small']} and {pair['large']} px, on the {found['images']:,} test images that did not fit it, in "
        f"batches of {found['batch']}: {spread(found['time_ratio'], 2)} of the time of {pair['large']} px, with an accuracy of "
        f"{found['accuracy']['cascade']:.1%} against {found['accuracy']['large']:.1%}."
    )


def cascades() -> str:
    """Return what cascades for several wanted accuracies reach."""
    facts = read("benchmarks/cascade.json")
    header = [
        "cascade",
        "threshold",
        "accuracy where fitted",
        "accuracy on others [95 %]",
        "looked twice",
        "million multiply-adds",
    ]
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
    return table(header, rows + alone)


def converters() -> str:
    """Return each converted model beside the export."""
    facts = read("benchmarks/converters.json")
    header = ["size", "engine", "accuracy", "export's", "same answer", "largest difference of logits", "kB"]
    rows = [
        [
            f"{row['size']} px",
            row["engine"],
            f"{row['accuracy']:.2%}",
            f"{row['export_accuracy']:.2%}",
            f"{row['agreement']:.2%}",
            f"{row['largest_difference']:.1e}",
            f"{row['bytes'] / 1000:,.0f}",
        ]
        for row in facts["rows"]
    ]
    return f"{table(header, rows)}\n\nOn all {facts['images']:,} test images. {machine(facts['versions'])}"


def load() -> str:
    """Return what became of good and bad requests."""
    facts = read("benchmarks/load.json")
    header = ["request", "sent", "status", "wrong answers", "p50, ms", "p99, ms"]
    rows = [
        [
            row["kind"],
            f"{sum(row['statuses'].values()):,}",
            ", ".join(row["statuses"]),
            str(row["wrong"]),
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
        ]
        for row in facts["kinds"]
    ]
    memory = facts["resident_mib"]
    words = (
        f"{facts['sent']:,} requests from {facts['clients']} clients in {facts['seconds']:.0f} s: {facts['answered']:,} answered, "
        f"{facts['wrong']} wrongly. The {facts['good']:,} good ones took {facts['good_p50_ms']:.1f} ms (median; 99th percentile "
        f"{facts['good_p99_ms']:.1f} ms). The server's resident memory in MiB, before the first request, and after each tenth: "
        f"{', '.join(f'{value:.0f}' for value in memory)}."
    )
    return f"{words}\n\n{table(header, rows)}\n\n{machine(facts['versions'])}"


def resume_cost() -> str:
    """Return what a checkpoint costs, and how soon a resumed run trains."""
    facts = read("benchmarks/resume.json")
    costs = [
        [
            f"{row['network']}, {row['batch']} images of 32 px a step",
            f"{row['state_mib']:.0f}",
            f"{row['step_ms']:,.0f}",
            spread(row["held_ms"], 0),
            spread(row["cost_ms"], 0),
            f"{row['mean_cost_ms'] / 600:.2f} ± {2 * row['standard_error_ms'] / 600:.2f} %",
        ]
        for row in facts["cost"]
    ]
    header = [
        "network",
        "state, MiB",
        "step, ms",
        "training held for the copy, ms",
        "cost of a checkpoint, ms",
        "at one a minute (mean ± 2 standard errors)",
    ]
    start = facts["start"]
    starts = [
        [name, spread(seconds, 1), spread(start["ratio_to_cold"][name], 2) if name != "cold" else "1"]
        for name, seconds in start["seconds"].items()
    ]
    counts = f"{facts['cost'][0]['checkpoints']} checkpoints of each network, {start['rounds']} starts of each kind."
    return "\n\n".join(
        [
            table(header, costs),
            table([f"{start['network']}, from", "seconds to the end of the first step", "ratio to cold"], starts),
            f"Medians and quartiles; {counts} {machine(facts['versions'])}",
        ]
    )


def rebalanced() -> str:
    """Return the step times of the buckets before and after each rebalancing."""
    facts = read("benchmarks/rebalance.json")
    rounds = facts["rounds"]
    header = ["S x D", "B, equal pixels", "time over the mean"]
    for number in range(1, len(rounds)):
        header += [f"B, rebalanced {number} x", "time over the mean"]
    rows = []
    for by_round in zip(*(found["buckets"] for found in rounds)):
        cells = [[str(row["batch"]), spread(row["relative"], 3)] for row in by_round]
        rows.append(
            [f"{by_round[0]['size']} x {by_round[0]['duplicates']}", *(cell for pair in cells for cell in pair)]
        )
    rows.append(["slowest over fastest, less 1"])
    for found in rounds:
        rows[-1] += ["", f"{100 * found['spread']:.1f} %"]
    step = max(row["granularity"] for row in rounds[-1]["buckets"])
    words = (
        f"{facts['model']}, `{facts['regime']}`; medians and quartiles of {facts['turns']} turns, in each of which a step of every "
        f"bucket is timed. Pixels as a proxy of time: the slowest bucket takes {100 * rounds[0]['spread_per_pixel']:.0f} % longer "
        f"per pixel than the fastest. B is a multiple of {facts['multiple_of']}, so that it can be off by {100 * step:.1f} %."
    )
    return f"{table(header, rows)}\n\n{words} {machine(facts['versions'])}"


def collectives() -> str:
    """Return how many collective operations each bucket's step has."""
    facts = read("benchmarks/collectives.json")
    header = ["S x B x D", "batch norm per replica", "synchronised"]
    rows = [
        [
            f"{row['size']} x {row['batch']} x {row['duplicates']}",
            f"{row['per replica']:.0f}",
            f"{row['synchronised']:.0f}",
        ]
        for row in facts["buckets"]
    ]
    words = f"{facts['model']} with {facts['batch_norms']} batch norms, {facts['replicas']} replicas."
    return f"{table(header, rows)}\n\n{words} {machine(facts['versions'])}"


def workers() -> str:
    """Return how two workers on two cores compare with one process."""
    facts = read("benchmarks/workers.json")
    times = facts["seconds"]
    shares = {
        "two workers, one core each": facts["efficiency"],
        "one worker, two cores": facts["efficiency_of_threads"],
    }
    rows = [
        [name, spread([1000 * value for value in seconds], 0), spread(shares[name], 2) if name in shares else ""]
        for name, seconds in times.items()
    ]
    header = ["processes", "ms per step", "share of twice the speed of one core"]
    words = (
        f"{facts['network']}, `{facts['regime']}`; medians, least and greatest of {facts['rounds']} turns of "
        f"{facts['steps']} steps. "
    )
    return f"{table(header, rows)}\n\n{words}{machine(facts['versions'])}"


def gpu() -> str:
    """Return time and memory of the buckets on a GPU."""
    facts = read("benchmarks/gpu.json")
    header = ["S x B x D", "step, ms", "ratio to the stock step, per pixel", "ratio to our own base, per pixel", "MiB"]
    parts = []
    for result in facts["results"]:
        rows = [
            [
                f"{row['size']} x {row['batch']} x {row['duplicates']}",
                f"{row['step_ms'][1]:,.1f}",
                spread(row["ratio_per_pixel"], 3),
                spread(row["ratio_to_own_base_per_pixel"], 3),
                f"{row['step_mib']:,}",
            ]
            for row in result["buckets"]
        ]
        stock = f"stock step {spread(result['stock_ms'], 1)} ms, {result['stock_mib']:,} MiB; {result['rounds']} rounds"
        parts.append(f"**{result['case']}** ({stock})\n\n{table(header, rows)}")
    packages = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if name != "machine")
    closing = f"{facts['how']} Measured on {facts['versions']['machine']}; {packages}; {facts['libraries']}."
    return "\n\n".join([*parts, closing])


BLOCKS = {
    "workers": workers,
    "demo": demo,
    "demo-details": demo_details,
    "benchmark": benchmark,
    "input": input_pipeline,
    "recipe": recipe,
    "zoo": zoo,
    "gpu": gpu,
    "accuracy": accuracy,
    "serving": serving,
    "cascades": cascades,
    "converters": converters,
    "load": load,
    "resume": resume_cost,
    "rebalance": rebalanced,
    "collectives": collectives,
}
PAGES = ("README.md", "docs/results.md", "docs/serving.md", "docs/reliability.md")


def filled(text: str) -> str:
    """Return a page with the figures in its blocks."""
    for name, block in BLOCKS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if pattern.search(text):
            text = pattern.sub(lambda match, block=block: match[1] + block() + "\n" + match[2], text)
    return text


def main():
    for page in PAGES:
        path = ROOT / page
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
