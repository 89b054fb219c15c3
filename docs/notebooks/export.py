# %% [markdown]
# # Export and serve
#
# One SavedModel answers at several sizes, from one copy of the weights. It holds resizing and normalisation, so a
# client sends what it has.

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
import tensorflow as tf

import keras_mixsize as kms

folder = pathlib.Path(tempfile.mkdtemp()) / "exported"
network = kms.models.from_preset("fashion4k_resnet14_mixsize")
network.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
train_images = kms.sources.fashion_mnist("train").images[:4000]
test = kms.sources.fashion_mnist("test")

# %% [markdown]
# ## Export
#
# The export gets the statistics of each size by calibration, and the report, so that a server knows what each size is
# worth.

# %%
SIZES = [8, 12, 16]
options = {"batches": 10, "progress": False}
report = kms.evaluate_sizes(network, (test.images[:1000], test.labels[:1000]), SIZES, calibrate=train_images, **options)
names = list(test.class_names)
kms.export_saved_model(
    network, folder, sizes=SIZES, calibration=train_images, report=report, class_names=names, **options
)
print(*sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()), sep="\n")

# %% [markdown]
# ## Ask
#
# `kms.serving.load` is one file without the rest of the package, to be copied to where the network runs. It takes
# arrays of any height and width, or encoded files.

# %%
served = kms.serving.load(folder)
print(served)
prediction = served.predict(test.images[:4], size=16)
for top, confidences, label in zip(prediction.names, prediction.confidences, test.labels):
    print(f"{top[0]:12} {confidences[0]:.1%}    is: {names[label]}")

# %%
file = tf.io.encode_png(test.images[0]).numpy()
cheapest = served.choose_size(min_accuracy=report.choose(within=0.01).best.value)
print(f"{cheapest} px:", served.predict([file], size=cheapest).names[0, 0])

# %% [markdown]
# ## Serve
#
# The folder is what TensorFlow Serving, Triton and `mixsize serve exported` load. The last one brings a web page, and
# answers TensorFlow Serving's REST form and the open inference protocol, by HTTP and gRPC; the page *Serving* of the
# site has the requests.
