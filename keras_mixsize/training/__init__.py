"""Training: a Keras model whose step is traced once per bucket.

`model` is what the user compiles and fits, `gradients` what happens to a gradient before the optimizer has it,
`size_metrics` and `skipped_steps` what is logged, `tracing` and `warm_up` how steps are compiled, `complexity` what a
network costs, `checks` whether network, data and callbacks fit together.

    model = MixSizeModel.from_model(network, l2=1e-4)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, ["accuracy"])
    model.fit(train, epochs=200)
"""

from keras_mixsize.training.complexity import latency_ms, model_stride, multiply_adds
from keras_mixsize.training.gradients import SmoothingState, smooth
from keras_mixsize.training.model import MixSizeModel
from keras_mixsize.training.warm_up import WarmUp, max_batch

__all__ = [
    "MixSizeModel",
    "SmoothingState",
    "WarmUp",
    "latency_ms",
    "max_batch",
    "model_stride",
    "multiply_adds",
    "smooth",
]
