"""Draws the pictures of the site's home page: accuracy by test size, from evidence/summary.json, for light and dark.

    python docs/tools/home_pictures.py          # writes docs/pictures/home_DATA_SCHEME.svg

One picture for each data set and scheme, so that they lie side by side on a wide screen and below one another on a
narrow one. Neighbour: `figures`.
"""

import pathlib

import matplotlib
from figures import ROOT, read
from matplotlib.figure import Figure

ARMS = {"fixed": "one size: {base} px", "b+finish": "mixed sizes (B+, ends at {base} px)"}
MARKERS = "os"
DATA = {"glyphs": "letters and digits in unseen fonts", "fashion4k": "4,000 images of Fashion-MNIST"}
SCHEMES = {  # ink, and a colour for each arm, which differ in lightness too
    "light": ("#333333", ("#767676", "#0072b2")),
    "dark": ("#dddddd", ("#a0a0a0", "#56b4e9")),
}


def main(folder: pathlib.Path = ROOT / "docs/pictures"):
    folder.mkdir(exist_ok=True)
    for name, setting in read("evidence/summary.json")["settings"].items():
        for scheme in SCHEMES:
            save(draw(name, setting, scheme), folder / f"home_{name}_{scheme}.svg")


def draw(name: str, setting: dict, scheme: str) -> Figure:
    """Return the accuracies of a setting's arms by test size: a line through the means, a point for each seed."""
    ink, colors = SCHEMES[scheme]
    base = setting["about"]["base_size"]
    figure = Figure(figsize=(5.2, 4.0), layout="constrained")
    axes = figure.subplots()
    for (arm, label), color, marker in zip(ARMS.items(), colors, MARKERS):
        points = setting["arms"][arm]["accuracy"]
        sizes = list(map(int, points))
        axes.plot(sizes, [point["mean"] for point in points.values()], color=color, label=label.format(base=base))
        for size, point in zip(sizes, points.values()):
            seeds = point["by_seed"].values()
            axes.plot([size] * len(seeds), seeds, marker, color=color, markersize=4.5, alpha=0.7, markeredgewidth=0)
    axes.axvline(base, color=ink, alpha=0.4, linestyle=":")
    axes.set(xlabel="test image size (px)", ylabel="accuracy (%)", xticks=sizes, ylim=(0, 102))
    axes.set_title(f"{name}: {DATA[name]}", fontsize=12, color=ink)
    figure.legend(loc="outside lower center", frameon=False, fontsize=11, labelcolor=ink)
    _ink(axes, ink)
    return figure


def save(figure: Figure, path: pathlib.Path):
    """Write a figure as SVG on no ground, the same text each time."""
    with matplotlib.rc_context({"svg.hashsalt": "home"}):
        figure.savefig(path, transparent=True, metadata={"Date": None})


def _ink(axes, ink: str):
    axes.tick_params(colors=ink, labelsize=11)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=ink, fontsize=11)
    axes.grid(alpha=0.25)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(ink)


if __name__ == "__main__":
    main()
