"""Counts in the graph how often the replicas of a MirroredStrategy talk to each other in one step of each bucket.

    python benchmarks/count_collectives.py --output=docs/benchmarks/collectives.json

One sum of the gradients a step is what there should be. Keras's synchronised batch norm adds sums of its own, forward
and backward, so it is counted apart. Branches are counted too, whether they are taken or not.
"""

import keras
import tensorflow as tf
from absl import app, flags
from measuring import console, write_results
from step_contenders import mixed, shape_of

import keras_mixsize as kms

MODEL = flags.DEFINE_enum("model", "resnet44", kms.models.names(), "Network.")
REGIME = flags.DEFINE_string("regime", "cifar/d+", "Preset.")
REPLICAS = flags.DEFINE_integer("replicas", 2, "Logical CPU devices.", lower_bound=2)
OUTPUT = flags.DEFINE_string("output", "runs/collectives.json", "File for the counts.")
KINDS = {"per replica": False, "synchronised": True}


def make_strategy() -> tf.distribute.Strategy:
    """Return a MirroredStrategy on logical devices of this machine's CPU."""
    devices = [tf.config.LogicalDeviceConfiguration()] * REPLICAS.value
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    return tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(REPLICAS.value)])


def make_model(strategy: tf.distribute.Strategy, synchronized: bool) -> kms.MixSizeModel:
    """Return a model compiled in the strategy's scope, with batch norm of one kind."""

    def copy(layer):
        synchronised = {"synchronized": synchronized} if isinstance(layer, keras.layers.BatchNormalization) else {}
        return type(layer).from_config(layer.get_config() | synchronised)

    with strategy.scope():
        network = kms.models.build(MODEL.value, classes=10, channels=1)
        return mixed(keras.models.clone_model(network, clone_function=copy))


def count(model: kms.MixSizeModel, bucket: kms.Bucket) -> float:
    """Return how many collective operations each replica takes part in during a step."""
    strategy = model.distribute_strategy
    images, labels = tf.zeros([bucket.images, bucket.size, bucket.size, 1]), tf.zeros([bucket.images], tf.int64)
    data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors((images, labels)))
    step = tf.function(lambda batch: strategy.run(model.train_step, args=(batch,)), autograph=False)
    graph = step.get_concrete_function(next(iter(data))).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return sum(node.op.startswith("Collective") for node in nodes) / strategy.num_replicas_in_sync


def main(_):
    strategy, regime = make_strategy(), kms.Regime.preset(REGIME.value)
    train = kms.MixSizeDataset.from_embedded("train", regime=regime)
    models = {name: make_model(strategy, synchronized) for name, synchronized in KINDS.items()}
    for model in models.values():
        model.build_steps(regime.sizes, train.element_spec)
    buckets = [
        shape_of(bucket) | {name: count(model, bucket) for name, model in models.items()} for bucket in regime.buckets
    ]
    layers = [type(layer) for layer in models["per replica"].network.layers]
    settings = {"model": MODEL.value, "replicas": REPLICAS.value}
    facts = settings | {"batch_norms": layers.count(keras.layers.BatchNormalization), "buckets": buckets}
    console.print(facts)
    write_results(OUTPUT.value, facts)


if __name__ == "__main__":
    app.run(main)
