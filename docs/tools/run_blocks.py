"""The blocks of figures about a whole run: what its checkpoints cost, and what rebalancing its buckets reaches.

print(resume())
"""

from figures import machine, read, spread, table


def resume() -> str:
    """Return what a checkpoint costs, and how soon a resumed run trains."""
    facts = read("benchmarks/resume.json")
    checkpoints, rounds = facts["cost"][0]["checkpoints"], facts["start"]["rounds"]
    counts = f"{checkpoints} checkpoints of each network, {rounds} starts of each kind."
    closing = f"Medians and quartiles; {counts} {machine(facts['versions'])}"
    return "\n\n".join([_cost(facts["cost"]), _start(facts["start"]), closing])


def _cost(networks: list[dict]) -> str:
    header = [
        "network",
        "state, MiB",
        "step, ms",
        "training held for the copy, ms",
        "cost of a checkpoint, ms",
        "at one a minute (mean ± 2 standard errors)",
    ]
    rows = [
        [
            f"{row['network']}, {row['batch']} images of 32 px a step",
            f"{row['state_mib']:.0f}",
            f"{row['step_ms']:,.0f}",
            spread(row["held_ms"], 0),
            spread(row["cost_ms"], 0),
            f"{row['mean_cost_ms'] / 600:.2f} ± {2 * row['standard_error_ms'] / 600:.2f} %",
        ]
        for row in networks
    ]
    return table(header, rows)


def _start(start: dict) -> str:
    rows = [
        [name, spread(seconds, 1), spread(start["ratio_to_cold"][name], 2) if name != "cold" else "1"]
        for name, seconds in start["seconds"].items()
    ]
    return table([f"{start['network']}, from", "seconds to the end of the first step", "ratio to cold"], rows)


def rebalance() -> str:
    """Return the step times of the buckets before and after each rebalancing."""
    facts = read("benchmarks/rebalance.json")
    rounds = facts["rounds"]
    step = max(row["granularity"] for row in rounds[-1]["buckets"])
    words = (
        f"{facts['model']}, `{facts['regime']}`; medians and quartiles of {facts['turns']} turns, in each of which "
        f"a step of every bucket is timed. Pixels as a proxy of time: the slowest bucket takes "
        f"{100 * rounds[0]['spread_per_pixel']:.0f} % longer per pixel than the fastest. B is a multiple of "
        f"{facts['multiple_of']}, so that it can be off by {100 * step:.1f} %."
    )
    return f"{_rounds(rounds)}\n\n{words} {machine(facts['versions'])}"


def _rounds(rounds: list[dict]) -> str:
    header, last = ["S x D", "B, equal pixels", "time over the mean"], ["slowest over fastest, less 1"]
    for number in range(1, len(rounds)):
        header += [f"B, rebalanced {number} x", "time over the mean"]
    rows = []
    for by_round in zip(*(found["buckets"] for found in rounds)):
        rows.append([f"{by_round[0]['size']} x {by_round[0]['duplicates']}"])
        for row in by_round:
            rows[-1] += [str(row["batch"]), spread(row["relative"], 3)]
    for found in rounds:
        last += ["", f"{100 * found['spread']:.1f} %"]
    return table(header, [*rows, last])
