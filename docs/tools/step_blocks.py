"""The blocks of figures about training steps: their time and memory on a CPU, on a GPU and on several workers.

print(step_time())
"""

from figures import machine, packages, read, shape, spread, table


def step_time() -> str:
    """Return the step's and the pipeline's tables."""
    facts = read("benchmarks/step_time.json")
    rounds = f"Medians and quartiles of {facts['rounds']} turns of {facts['steps_per_turn']} steps."
    parts = [_steps(facts), _buckets(facts["steps"]), _pipelines(facts["pipeline"])]
    return "\n\n".join([*parts, f"{rounds} {machine(facts['versions'])}"])


def _steps(facts: dict) -> str:
    steps = facts["steps"]
    rows = [
        [name, spread(figures, 1), spread(steps["ratio_to_stock"][name], 3) if name != "stock" else "1"]
        for name, figures in steps["ms_per_step_at_base_cost"].items()
    ]
    header = [f"{facts['model']}, regime", "ms per step at the base's cost", "ratio to stock Keras `fit`"]
    return table(header, rows)


def _buckets(steps: dict) -> str:
    rows = [
        [f"{name}, {size} px", spread(figures, 1)]
        for name, sizes in steps["ms_at_base_cost_by_size"].items()
        for size, figures in sizes.items()
        if name != "baseline"
    ]
    return table(["bucket", "ms per step at the base's cost"], rows)


def _pipelines(pipeline: dict) -> str:
    rows = [
        [name, spread(figures, 0), spread(pipeline["ratio_to_plain"][name], 2) if name != "plain tf.data" else "1"]
        for name, figures in pipeline["images_per_second"].items()
    ]
    return table(["pipeline alone", "images per second", "ratio to plain tf.data"], rows)


def zoo() -> str:
    """Return a table of each network and precision, bucket by bucket."""
    facts = read("benchmarks/zoo.json")
    header = ["S x B x D", "first step, s", "step, ms", "ratio to the plain step, per pixel", "peak, MiB"]
    parts = []
    for result in facts["results"]:
        rows = [
            [
                shape(row),
                f"{row['first_step_seconds']:.1f}",
                f"{row['step_ms'][1]:,.0f}",
                spread(row["ratio_per_pixel"], 2),
                f"{row['peak_mib']:,}",
            ]
            for row in result["buckets"]
        ]
        plain = f"plain step {spread(result['plain_ms'], 0)} ms, {result['rounds']} rounds"
        parts.append(f"**{result['network']}, {result['precision']}** ({plain})\n\n{table(header, rows)}")
    batches = f"base batch of the CIFAR rows {facts['cifar_batch']}, of the ImageNet rows {facts['imagenet_batch']}."
    return "\n\n".join([*parts, f"Medians and quartiles over the rounds; {batches} {machine(facts['versions'])}"])


def gpu() -> str:
    """Return time and memory of the buckets on a GPU."""
    facts = read("benchmarks/gpu.json")
    header = ["S x B x D", "step, ms", "ratio to the stock step, per pixel", "ratio to our own base, per pixel", "MiB"]
    parts = []
    for result in facts["results"]:
        rows = [
            [
                shape(row),
                f"{row['step_ms'][1]:,.1f}",
                spread(row["ratio_per_pixel"], 3),
                spread(row["ratio_to_own_base_per_pixel"], 3),
                f"{row['step_mib']:,}",
            ]
            for row in result["buckets"]
        ]
        stock = f"stock step {spread(result['stock_ms'], 1)} ms, {result['stock_mib']:,} MiB; {result['rounds']} rounds"
        parts.append(f"**{result['case']}** ({stock})\n\n{table(header, rows)}")
    return "\n\n".join([*parts, _on_gpu(facts)])


def _on_gpu(facts: dict) -> str:
    """Return what the figures were measured with, and what a person noted in the file by hand."""
    notes = [facts["how"]] if "how" in facts else []
    libraries = [facts["libraries"]] if "libraries" in facts else []
    about = [facts["versions"]["machine"], packages(facts["versions"]), *libraries]
    return " ".join([*notes, f"Measured on {'; '.join(about)}."])


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
    turns = f"medians, least and greatest of {facts['rounds']} turns of {facts['steps']} steps."
    return f"{table(header, rows)}\n\n{facts['network']}, `{facts['regime']}`; {turns} {machine(facts['versions'])}"


def collectives() -> str:
    """Return how many collective operations each bucket's step has."""
    facts = read("benchmarks/collectives.json")
    header = ["S x B x D", "batch norm per replica", "synchronised"]
    rows = [[shape(row), f"{row['per replica']:.0f}", f"{row['synchronised']:.0f}"] for row in facts["buckets"]]
    words = f"{facts['model']} with {facts['batch_norms']} batch norms, {facts['replicas']} replicas."
    return f"{table(header, rows)}\n\n{words} {machine(facts['versions'])}"
