"""Images that the training step mirrors are mirrored row by row, and travel as one value."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.images.step_images import StepImages, images_of, is_finished, mirror_inputs, with_shape

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 5, 5, 3))


def inputs_of(dtype="uint8"):
    return StepImages(tf.constant(PIXELS.astype(dtype)), tf.constant([True, False, False, True]))


def reference(inputs):
    """Return the images, mirrored by NumPy."""
    pairs = zip(inputs.images.numpy(), inputs.mirrored.numpy(), strict=True)
    return np.stack([image[:, ::-1] if mirror else image for image, mirror in pairs])


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_are_mirrored_row_by_row(dtype, jit_compile):
    inputs = inputs_of(dtype)
    done = tf.function(mirror_inputs, jit_compile=jit_compile)(inputs)
    np.testing.assert_array_equal(done, reference(inputs))
    assert done.dtype == dtype and done.shape == inputs.images.shape


def test_finished_images_are_left_as_they_are():
    images, inputs = tf.constant(PIXELS), inputs_of()
    assert is_finished(images) and mirror_inputs(images) is images and images_of(images) is images
    assert not is_finished(inputs) and images_of(inputs) is inputs.images


@pytest.mark.parametrize("inputs", [inputs_of(), inputs_of().images], ids=["for the step", "finished"])
def test_a_shape_can_be_told_to_both(inputs):
    @tf.function(input_signature=[tf.nest.map_structure(lambda part: tf.TensorSpec(None, part.dtype), inputs)])
    def shaped(inputs):
        known = with_shape(inputs, [None, None, None, 3])
        assert images_of(known).shape.as_list() == [None, None, None, 3] and type(known) is type(inputs)
        return known

    tf.nest.map_structure(np.testing.assert_array_equal, shaped(inputs), inputs)


def carried_by_tf_data(inputs):
    dataset = tf.data.Dataset.from_tensors((inputs, tf.range(4))).map(lambda inputs, labels: (inputs, labels + 1))
    return next(iter(dataset))[0]


def carried_by_a_strategy(inputs):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    dataset = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors((inputs, tf.range(4))))
    return strategy.run(lambda inputs, labels: inputs, args=next(iter(dataset)))


def carried_by_keras(inputs):
    (found, *_) = keras.utils.unpack_x_y_sample_weight((inputs, tf.range(4)))
    return keras.tree.map_structure(tf.identity, found)


CARRIERS = [carried_by_tf_data, carried_by_a_strategy, carried_by_keras, tf.function(lambda inputs: inputs)]


@pytest.mark.parametrize("carry", CARRIERS, ids=["tf.data", "tf.distribute", "Keras", "tf.function"])
def test_they_stay_one_value_on_their_way(carry):
    inputs = inputs_of()
    found = carry(inputs)
    assert isinstance(found, StepImages)
    tf.nest.map_structure(np.testing.assert_array_equal, found, inputs)
