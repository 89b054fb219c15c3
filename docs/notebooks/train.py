# %% [markdown]
# # Train and look
#
# One small network for many image sizes, trained in about twenty seconds on a CPU, and what the library shows of it.
# The images are 4,000 of Fashion-MNIST that come with the package, so nothing is downloaded.

# %%
import importlib.util
import subprocess
import sys

REPOSITORY = "https://github.com/OWNER/keras_mixsize"  # where you found this notebook
if importlib.util.find_spec("keras_mixsize") is None:  # as in Colab
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", f"git+{REPOSITORY}"], check=True)

# %% tags=["quiet"]
import keras
import matplotlib.pyplot as plt

import keras_mixsize as kms

keras.utils.set_random_seed(0)
train_source, test_source = kms.sources.fashion_mnist("train"), kms.sources.fashion_mnist("test")
images, labels = train_source.images[:4000], train_source.labels[:4000]

# %% [markdown]
# ## A regime
#
# A regime is a short list of buckets: an image size, a batch, a number of copies of each image, and how often it is
# drawn. All cost about the same, so small sizes take larger batches (`grow="batch"`). This is known before anything
# is trained:

# %%
sizes = {16: 0.3, 24: 0.2, 12: 0.3, 8: 0.2}
regime = kms.Regime.solve(sizes, base_size=16, base_batch=64, grow="batch")
print(regime.table(num_examples=len(images)))

# %% [markdown]
# ## What a step gets
#
# The dataset draws a bucket for every step. These are the first images of one step of each size:

# %%
train = kms.MixSizeDataset.from_arrays(images, labels, regime=regime, seed=0, augmentation=kms.PadCropFlip(4))
first = {}
for batch, batch_labels in train.take(20):
    first.setdefault(batch.shape[1], (batch.numpy(), batch_labels.numpy()))
figure, rows = plt.subplots(len(first), 8, figsize=(8, 4.4))
for row, size in zip(rows, sorted(first)):
    for axes, image, label in zip(row, *first[size]):
        axes.imshow(image[..., 0], cmap="gray_r")
        axes.set_title(train_source.class_names[label], fontsize=7)
        axes.axis("off")
    row[0].text(-0.9, 0.5, f"{size} px", transform=row[0].transAxes)
plt.show()

# %% [markdown]
# ## Train
#
# A `MixSizeModel` is a Keras model: `compile` and `fit` are Keras's. The logs have loss and accuracy of each size
# too.

# %%
EPOCHS = 10
model = kms.MixSizeModel.from_model(kms.models.build("resnet8", classes=10, channels=1), l2=5e-4)
steps = EPOCHS * train.steps_per_epoch
model.compile(
    keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.2, steps), momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ["accuracy"],
)
history = model.fit(train, epochs=EPOCHS, verbose=0).history
figure, axes = plt.subplots(figsize=(6, 3.5))
for size in sorted(regime.sizes):
    axes.plot(range(1, EPOCHS + 1), history[f"accuracy_{size}"], label=f"{size} px")
axes.set(xlabel="epoch", ylabel="accuracy on training batches")
axes.legend()
plt.show()

# %% [markdown]
# ## Accuracy by size
#
# Batch norm keeps running statistics that mix all sizes; `calibrate=` takes training batches at each test size
# instead.

# %%
report = kms.evaluate_sizes(
    model, (test_source.images, test_source.labels), [8, 12, 16, 20, 24], calibrate=train, batches=30, progress=False
)
print(report)

# %% [markdown]
# The second notebook, *Calibrate and choose a size*, goes on from here with networks that were trained longer.
