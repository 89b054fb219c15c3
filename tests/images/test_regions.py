"""Regions: what is decoded of a file has the pixels of the whole image, at a scale that every window allows."""

import numpy as np
import pytest
import tensorflow as tf
from pictures import photograph, saved, seeds

from keras_mixsize.images import regions
from keras_mixsize.images.augmentations import RandomResizedCrop, Windows


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_regions_have_the_pixels_of_the_whole_image(subsampling, progressive, scale):
    data = saved(photograph(203, 277), subsampling=subsampling, progressive=progressive)
    whole = tf.io.decode_jpeg(data, 3, ratio=scale, fancy_upscaling=scale == 1).numpy()
    for seed in range(12):
        windows = RandomResizedCrop(flip=False).windows(
            tf.constant([203.0]), tf.constant([277.0]), seeds(seed + 1)[-1:]
        )
        found = regions.covering_regions(windows, tf.constant([[203, 277]]), tf.constant([scale]))
        region = tf.io.decode_and_crop_jpeg(data, found.boxes[0], 3, ratio=scale, fancy_upscaling=scale == 1).numpy()
        (top, left), (height, width) = found.corners[0].numpy(), found.extents[0].numpy()
        y, x = np.round([windows.top[0] / scale, windows.left[0] / scale]).astype(int)
        np.testing.assert_array_equal(
            region[top : top + height, left : left + width], whole[y : y + height, x : x + width]
        )


def scale(*sides, size=20, chroma=(1, 1)):
    """Return the scale for windows of these heights, 5 pixels wider."""
    sides = tf.constant(sides, tf.float32)
    windows = Windows(sides * 0, sides * 0, sides, sides + 5, sides < 0)
    return int(regions.largest_scales(windows, tf.constant([chroma]), size)[0])


def test_the_scale_is_chosen_by_the_smallest_window():
    assert [scale(39), scale(40), scale(80), scale(160), scale(400)] == [1, 2, 4, 8, 8]
    assert scale(400, 40) == 2


@pytest.mark.parametrize(
    "chroma, scales",
    [((2, 2), [2, 4, 8, 8, 8]), ((2, 1), [1, 2, 4, 8, 8]), ((1, 2), [1, 2, 4, 8, 8]), ((1, 4), [1, 1, 2, 4, 8])],
    ids=["4:2:0", "4:4:0", "4:2:2", "4:1:1"],
)
def test_chroma_that_is_sampled_less_along_one_axis_is_decoded_finer(chroma, scales):
    assert [scale(side, chroma=chroma) for side in (40, 80, 160, 320, 640)] == scales
