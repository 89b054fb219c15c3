# %% [markdown]
# # Calibrate and choose a size
#
# A network that was trained at mixed sizes can be served at any of them. Which one is worth its time? This notebook
# compares two networks that come with the package: one trained at mixed sizes, one at 16 px alone, at equal cost.

# %%
import importlib.util
import subprocess
import sys

REPOSITORY = "https://github.com/OWNER/keras_mixsize"  # where you found this notebook
if importlib.util.find_spec("keras_mixsize") is None:  # as in Colab
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", f"git+{REPOSITORY}"], check=True)

# %% tags=["quiet"]
import pathlib
import tempfile

import keras
import matplotlib.pyplot as plt

import keras_mixsize as kms

# %%
for name, about in kms.models.presets().items():
    print(f"{name:28} {about['parameter_count']:,} parameters, {about['accuracy']['16']:.1%} at 16 px")

# %% [markdown]
# ## With and without calibration
#
# Calibration changes no weight. It runs training images through the network at one size and keeps the means and
# variances that batch norm sees there. So it needs images like those of the training, without their labels.

# %%
SIZES = [8, 12, 16, 20, 24]
train_images = kms.sources.glyphs("train").images
test_source = kms.sources.glyphs("test")


def load(name):
    """Return a preset, compiled for evaluation."""
    network = kms.models.from_preset(name)
    network.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return network


def evaluate(name, title):
    """Return a preset's report."""
    options = {"calibrate": train_images, "batches": 10, "name": title, "progress": False}
    return kms.evaluate_sizes(load(name), (test_source.images[::9], test_source.labels[::9]), SIZES, **options)


mixed = evaluate("glyphs_resnet14_mixsize", "mixed sizes")
print(mixed)

# %%
fixed = evaluate("glyphs_resnet14_fixed", "16 px alone")
figure, axes = plt.subplots(figsize=(6.5, 4))
for report, colour in ((mixed, "C0"), (fixed, "C1")):
    axes.plot(SIZES, [100 * row.best.value for row in report.rows], "o-", color=colour, label=report.name)
    axes.plot(SIZES, [100 * row.accuracy.value for row in report.rows], ":", color=colour, label="without calibration")
axes.set(xlabel="test size in pixels", ylabel="accuracy, %")
axes.legend()
plt.show()

# %% [markdown]
# ## Choose
#
# `choose` returns the cheapest size within so many points of the best one, by the time that an image takes on this
# machine.

# %%
chosen = mixed.choose(within=0.01)
print(f"{chosen.size} px: {chosen.best}, {chosen.multiply_adds / 1e6:.1f} M multiply-adds")
picture = pathlib.Path(tempfile.mkdtemp()) / "choice.png"
mixed.plot_choice(picture, within=0.01)
figure, axes = plt.subplots(figsize=(7, 4.5))
axes.imshow(plt.imread(picture))
axes.axis("off")
plt.show()

# %% [markdown]
# ## Use it
#
# The preset holds the statistics of the sizes that it was tested at, so there is nothing to calibrate for those:

# %%
network = kms.models.from_preset("glyphs_resnet14_mixsize", size=12)
small = kms.images.resize(test_source.images[:5], 12)
answers = keras.ops.argmax(network(small), axis=-1)
print([test_source.class_names[answer] for answer in answers])

# %% [markdown]
# For any other size, and for networks of your own, `kms.calibrate` does it in place.
