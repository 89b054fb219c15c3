"""The blocks of figures about accuracy: the demo, and the longer runs beside the paper.

print(demo())       # the first table of the demo in results.md
"""

from figures import interval, machine, read, table


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
    header = ["size", "accuracy [95 %]", "calibrated [95 %]", "loss", "million multiply-adds", "ms per image"]
    parts = [
        f"**{report['name']}**\n\n{table(header, [_detail(row) for row in report['rows']])}"
        for report in facts["reports"]
    ]
    return "\n\n".join([*parts, f"The whole run took {facts['seconds']} s. {machine(facts['versions'])}"])


def accuracy() -> str:
    """Return the table of accuracies beside the paper's, and every run in it by size."""
    facts = read("runs/accuracy.json")
    sizes = sorted({int(size) for run in facts["runs"] for size in run["accuracy"]})
    header = ["recipe", "seed", "epochs", "steps", "minutes", *(f"{size} px" for size in sizes)]
    rows = [_run(run, sizes) for run in facts["runs"]]
    closing = f"Accuracy in percent, calibrated. {machine(facts['runs'][0]['versions'])}"
    return f"{facts['table']}\n\n{table(header, rows)}\n\n{closing}"


def _detail(row: dict) -> list[str]:
    accuracies = [interval(row["accuracy"]), interval(row["calibrated"]), f"{row['calibrated_loss']:.3f}"]
    return [str(row["size"]), *accuracies, f"{row['multiply_adds'] / 1e6:.2f}", f"{row['latency_ms']:.3f}"]


def _run(run: dict, sizes: list[int]) -> list[str]:
    about = [
        run["recipe"],
        str(run["seed"]),
        str(run["epochs"]),
        f"{run['steps']:,}",
        f"{run['train_seconds'] / 60:.0f}",
    ]
    return about + [f"{run['accuracy'][str(size)]:.2f}" if str(size) in run["accuracy"] else "" for size in sizes]
