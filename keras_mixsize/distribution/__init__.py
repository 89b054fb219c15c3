"""Distribution: several devices and several processes that train one model.

`cluster` is how a process becomes one of several workers, `workers` what they tell each other and which rows each
reads, `replicas` what one step does across devices.

    strategy = join_workers()               # before anything else of TensorFlow
    workers = Workers(strategy)
    workers.count, workers.index, workers.is_chief
"""

from keras_mixsize.distribution.cluster import join_workers
from keras_mixsize.distribution.workers import Workers

__all__ = ["Workers", "join_workers"]
