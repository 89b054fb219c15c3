"""The blocks of figures about the server: good and bad requests, times beside plain KServe's, and health.

print(bodies())
"""

from figures import machine, read, table

GOOD = "200"


def load() -> str:
    """Return what became of good and bad requests."""
    facts = read("benchmarks/load.json")
    header = ["request", "sent", "status", "wrong answers", "p50, ms", "p99, ms"]
    rows = [_kind(row) for row in facts["kinds"] if GOOD in row["statuses"]]
    refused = [row for row in facts["kinds"] if row["statuses"] and GOOD not in row["statuses"]]
    statuses = sorted({status for row in refused for status in row["statuses"]})
    kinds = "; ".join(f"{row['kind']} ({sum(row['statuses'].values())})" for row in refused)
    said = f"Refused with {' or '.join(statuses)}, {sum(row['wrong'] for row in refused)} wrongly: {kinds}."
    return "\n\n".join(
        [_load_in_words(facts), table(header, rows), said, _ends(facts["ends"]), machine(facts["versions"])]
    )


def _kind(row: dict) -> list[str]:
    statuses = ", ".join(row["statuses"])
    sent = f"{sum(row['statuses'].values()):,}"
    return [row["kind"], sent, statuses, str(row["wrong"]), f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}"]


def _load_in_words(facts: dict) -> str:
    memory = ", ".join(f"{value:.0f}" for value in facts["resident_mib"])
    return (
        f"{facts['sent']:,} requests of {facts['good_kinds']} good and {facts['bad_kinds']} bad kinds and of "
        f"hypothesis, from {facts['clients']} clients in {facts['seconds']:.0f} s: {facts['answered']:,} answered, "
        f"{facts['wrong']} wrongly. The {facts['good']:,} good ones took {facts['good_p50_ms']:.1f} ms (median; 99th "
        f"percentile {facts['good_p99_ms']:.1f} ms). The memory of the server and its processes in MiB, before the "
        f"first request and after each tenth: {memory}."
    )


def _ends(ends: list[dict]) -> str:
    whole = sum(not end["lost"] and end["exit_status"] == 0 for end in ends)
    answered = sum(sum(end["statuses"].values()) for end in ends)
    return (
        f"SIGTERM at a drawn moment under the same requests: in {whole} of {len(ends)} runs all that was accepted was "
        f"answered ({answered:,} requests), and the server ended with the status 0."
    )


def bodies() -> str:
    """Return the server's times beside plain KServe's."""
    facts = read("benchmarks/server_bodies.json")
    clients = sorted({row["clients"] for row in facts["rows"]})
    header = ["request"]
    for count in clients:
        header += [f"{count} client{'s' * (count > 1)}, p50", "p99", "health, max"]
    kinds = dict.fromkeys(row["kind"] for row in facts["rows"])
    found = {(row["kind"], row["clients"]): row for row in facts["rows"]}
    rows = [[kind, *(text for count in clients for text in _pair(found[kind, count]))] for kind in kinds]
    how = (
        f"Milliseconds of ours / KServe's; turns of {facts['seconds']:g} s, {facts['rounds']} of each. Plain KServe "
        f"was left out (-) where a turn would have taken more than {facts['patience']:g} s."
    )
    return f"{table(header, rows)}\n\n{how} {machine(facts['versions'])}"


def _pair(row: dict) -> list[str]:
    other = row.get("kserve")
    return [
        f"{_number(row['ours'][name])} / {_number(other[name]) if other else '-'}"
        for name in ("p50_ms", "p99_ms", "health_max_ms")
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def health() -> str:
    """Return how fast health was answered under large bodies, and a server that does nothing else beside it."""
    facts = read("benchmarks/server_health.json")
    header = ["probe", "asked", "p50, ms", "p99, ms", "largest, ms", "above 100 ms"]
    names = {"server": "the server", "idle": "a server that does nothing else"}
    rows = []
    for name, title in names.items():
        row = facts[name]
        times = [_number(row[part]) for part in ("p50_ms", "p99_ms", "max_ms")]
        rows.append([title, f"{row['count']:,}", *times, str(row["over"])])
    asked = f"{facts['answered']:,} requests of {facts['clients']} clients were answered in {facts['seconds']:g} s"
    return f"{table(header, rows)}\n\n{asked}: {'; '.join(facts['kinds'])}. {machine(facts['versions'])}"
