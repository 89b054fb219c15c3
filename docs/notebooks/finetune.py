# %% [markdown]
# # Fine-tune
#
# A network that has learnt letters and digits in 16 px learns clothes from few pictures, at mixed sizes again.
# Everything here comes with the package.

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

# %%
COUNT, EPOCHS, SIZES = 500, 20, [8, 12, 16, 24]
train_source, test_source = kms.sources.fashion_mnist("train"), kms.sources.fashion_mnist("test")
images, labels = train_source.images[:COUNT], train_source.labels[:COUNT]
regime = kms.Regime.solve({16: 0.6, 8: 0.4}, base_size=16, base_batch=32, grow="batch")
train = kms.MixSizeDataset.from_arrays(images, labels, regime=regime, seed=0, augmentation=kms.PadCropFlip(4))

# %% [markdown]
# ## A new head
#
# The layer before the last one gives what the network has learnt to see. A new `Dense` layer answers for the new
# classes.


# %%
def with_new_head(backbone: keras.Model, classes: int) -> keras.Model:
    """Return the network with its last layer replaced."""
    features = keras.Model(backbone.input, backbone.layers[-2].output, name="features")
    inputs = keras.Input(backbone.input_shape[1:])
    return keras.Model(inputs, keras.layers.Dense(classes)(features(inputs)))


def fit(network: keras.Model, rate: float) -> kms.SizeReport:
    """Train a network at mixed sizes and return its accuracy by size."""
    model = kms.MixSizeModel.from_model(network, l2=5e-4)
    schedule = keras.optimizers.schedules.CosineDecay(rate, EPOCHS * train.steps_per_epoch)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9), loss, ["accuracy"])
    model.fit(train, epochs=EPOCHS, verbose=0)
    test = (test_source.images[:500], test_source.labels[:500])
    return kms.evaluate_sizes(model, test, SIZES, calibrate=train, batches=10, latency=False, progress=False)


# %% [markdown]
# ## Four ways
#
# From random weights; all of the pretrained network; batch norm and the head of it; the head alone. What is frozen is
# said by `trainable`, and a frozen batch norm, as in the last way, stays in inference.

# %%
keras.utils.set_random_seed(0)
untrained = kms.models.from_preset("glyphs_resnet14_mixsize", load_weights=False)
networks = {"from random weights": with_new_head(untrained, 10)}
for way in ("all of it", "batch norm and head", "head alone"):
    networks[way] = with_new_head(kms.models.from_preset("glyphs_resnet14_mixsize"), 10)
for layer in networks["batch norm and head"].get_layer("features").layers:
    layer.trainable = isinstance(layer, keras.layers.BatchNormalization)
networks["head alone"].get_layer("features").trainable = False

reports = {way: fit(network, rate=0.1) for way, network in networks.items()}
for way, report in reports.items():
    print(f"{way:20}", *(f"{row.size} px: {row.best.value:.1%}" for row in report.rows), sep="  ")

# %%
figure, axes = plt.subplots(figsize=(6.5, 4))
for way, report in reports.items():
    axes.plot(SIZES, [100 * row.best.value for row in report.rows], "o-", label=way)
axes.set(xlabel="test size in pixels", ylabel=f"accuracy after {COUNT} pictures, %")
axes.legend()
plt.show()

# %% [markdown]
# Frozen batch norm is left alone by calibration too: `head alone` keeps the statistics of letters at 16 px.
# The page *Fine-tuning* of the site says what to freeze when.
