"""Model card: what an export says of itself to people, in Markdown made of its manifest.

Neighbours: `manifest`, `saved_model` (who writes it).

    print(model_card(serving.load("exported").manifest))
"""

from __future__ import annotations


def model_card(manifest: dict) -> str:
    """Return a model card in Markdown; what nobody but its author knows is left to fill in.

    Args:
        manifest: as `manifest.make_manifest` gives it.
    """
    parts = [_heading(manifest), _sizes(manifest), _cascade(manifest), _input(manifest), _caution(manifest)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(manifest: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    return (
        f"# {manifest['name']}\n\n"
        f"An image classifier of {len(manifest['classes'])} classes for {len(manifest['sizes'])} image sizes, "
        f"exported {manifest['created']} with {versions}.\n\n"
        "Intended use: (to be written by the author)\n\nTraining data and known limits: (to be written by the author)"
    )


def _sizes(manifest: dict) -> str:
    lines = [
        "## Sizes\n",
        "| size | accuracy [95 %] | M multiply-adds | ms/image | signature |",
        "|---|---|---|---|---|",
    ]
    for row in manifest["sizes"]:
        latency = "-" if row["latency_ms"] is None else f"{row['latency_ms']:.3f}"
        millions = f"{row['multiply_adds'] / 1e6:.2f}"
        lines.append(f"| {row['size']} | {_share(row['accuracy'])} | {millions} | {latency} | `{row['signature']}` |")
    report, calibration = manifest["report"], manifest["calibration"]
    measured = f'Accuracy and time are those of the report "{report["name"]}": {report["about"]}.' if report else ""
    statistics = (
        f"calibrated with {calibration['batches']} training batches at each size" if calibration else "the model's own"
    )
    return "\n".join([*lines, "", f"Batch-norm statistics: {statistics}. {measured}".rstrip()])


def _share(accuracy: dict | None) -> str:
    if accuracy is None:
        return "-"
    return f"{accuracy['value']:.1%} [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]"


def _cascade(manifest: dict) -> str:
    cascade = manifest["cascade"]
    if cascade is None:
        return ""
    return (
        f"## Cascade\n\n"
        f"`serve_cascade` looks at {cascade['small']} px, and again at {cascade['large']} px where no class is as "
        f"likely as {cascade['threshold']:.3f}. On the data that the threshold was fitted to: accuracy "
        f"{_share(cascade['accuracy'])}, {cascade['share']:.1%} of the images looked at again, {cascade['cost']:.0%} "
        f"of the work of {cascade['large']} px for all."
    )


def _input(manifest: dict) -> str:
    options, preprocessing = manifest["input"], manifest["preprocessing"]
    crop = preprocessing["center_crop"]
    window = (
        "the whole image is resized"
        if crop is None
        else f"the central square of {crop:.3f} of the shorter side is resized"
    )
    return (
        f"## Input\n\n"
        f"Images of {options['channels']} channels and any size, uint8 or float32 in [0, 1], or JPEG and PNG files; "
        f"at most {options['max_batch']} at a time, of at most {options['max_pixels']} pixels each. In the graph, "
        f"{window} ({preprocessing['interpolation']}, antialias={preprocessing['antialias']})."
    )


def _caution(manifest: dict) -> str:
    del manifest
    return "## Caution\n\nA SavedModel is a program: load only those of people you trust."
