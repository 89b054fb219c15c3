"""The block of figures about mixed sizes against one size: what evidence/summary.json holds.

print(evidence())       # the first table of results.md
print(home())           # what the pictures of the home page show, in words
"""

from figures import read, table


def evidence() -> str:
    """Return the differences to the best fixed size at the base and at half of it, data sets across, arms down."""
    settings = read("evidence/summary.json")["settings"]
    arms = list(dict.fromkeys(name for setting in settings.values() for name in setting["arms"]))
    header = ["arm"]
    for name, setting in settings.items():
        base = setting["about"]["base_size"]
        header += [f"{name}, {base} px", f"{name}, {base // 2} px"]
    rows = [[f"`{arm}`", *(cell for setting in settings.values() for cell in _cells(setting, arm))] for arm in arms]
    about = "\n".join(_about(name, setting) for name, setting in settings.items())
    return f"{table(header, rows)}\n\n{about}"


def home() -> str:
    """Return a line for each data set: accuracies at half the base, the difference at the base, and of what."""
    settings = read("evidence/summary.json")["settings"]
    return "\n".join(_in_words(name, setting) for name, setting in settings.items())


def _in_words(name: str, setting: dict, arm: str = "b+finish") -> str:
    base, arms = setting["about"]["base_size"], setting["arms"]
    fixed, mixed = (arms[which]["accuracy"][str(base // 2)]["mean"] for which in (setting["reference"], arm))
    difference = _difference(arms[arm]["difference"][str(base)])
    return (
        f"- **{name}**: one size {fixed:.1f} %, mixed sizes {mixed:.1f} % at {base // 2} px. "
        f"Difference at the base of {base} px, in points with its 95 % interval: {difference}."
    )


def _cells(setting: dict, arm: str) -> list[str]:
    found, base = setting["arms"].get(arm), setting["about"]["base_size"]
    if found is None:
        return ["", ""]
    if arm == setting["reference"]:
        return [f"{found['accuracy'][str(size)]['mean']:.2f} %" for size in (base, base // 2)]
    return [_difference(found["difference"][str(size)]) for size in (base, base // 2)]


def _difference(found: dict) -> str:
    seeds = len(found["by_seed"])
    spread = "" if found["low"] is None else f" [{found['low']:+.2f}, {found['high']:+.2f}]"
    return f"{found['mean']:+.2f}{spread}, {seeds} seed{'s' if seeds > 1 else ''}"


def _about(name: str, setting: dict) -> str:
    images, about = setting["about"]["images"], setting["about"]
    return (
        f"- {name}: {images['train']:,} training and {images['test']:,} test images of {about['classes']} classes, "
        f"{about['network']}, {about['epochs']} epochs of the fixed size's cost."
    )
