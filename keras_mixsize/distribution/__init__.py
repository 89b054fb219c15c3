"""Distribution: several devices and several processes that train one model.

`workers` is what processes tell each other and which rows each reads, `replicas` what one step does across devices.

    workers = Workers(strategy)
    workers.count, workers.index, workers.is_chief
"""

from keras_mixsize.distribution.workers import Workers

__all__ = ["Workers"]
