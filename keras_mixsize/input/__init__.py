"""Input: a source and a plan become batches, in the plan's order, without end.

`dataset` is the tf.data.Dataset that `fit` takes, `steps` and `drawing` are what it is made of, `service` makes the
same batches on other machines.

    train = MixSizeDataset.from_folder("photos/train", regime=regime)
"""

from keras_mixsize.input import service
from keras_mixsize.input.dataset import MixSizeDataset

__all__ = ["MixSizeDataset", "service"]
