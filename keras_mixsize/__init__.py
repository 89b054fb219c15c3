"""MixSize training for TensorFlow and Keras: one network for many image sizes.

    regime = Regime.solve({32: .3, 48: .2, 24: .3, 16: .2}, base_size=32, base_batch=64, grow="duplicates")
    train = MixSizeDataset.from_arrays(images, labels, regime=regime, seed=0)
    model = MixSizeModel.from_model(models.cifar_resnet(44, classes=10))

Source: Hoffer et al., "Mix & Match: training convnets with mixed image sizes for improved accuracy, speed and scale
resiliency", arXiv 1908.08986.
"""

from keras_mixsize import callbacks, converters, images, models, presets, recipes, service, serving, sources
from keras_mixsize.bucket import Bucket
from keras_mixsize.calibration import calibrate, calibrated
from keras_mixsize.capacity import max_batch
from keras_mixsize.dataset import MixSizeDataset
from keras_mixsize.evaluation import evaluate_sizes
from keras_mixsize.export import FitCascade, export_saved_model
from keras_mixsize.images import CenterCrop, PadCropFlip, RandomResizedCrop, WholeImage
from keras_mixsize.plan import Plan
from keras_mixsize.preprocessing import Preprocessing
from keras_mixsize.regime import Regime
from keras_mixsize.report import SizeReport
from keras_mixsize.smoothing import smooth
from keras_mixsize.training import MixSizeModel

__version__ = "0.1.0"

__all__ = [
    "Bucket",
    "CenterCrop",
    "FitCascade",
    "MixSizeDataset",
    "MixSizeModel",
    "PadCropFlip",
    "Plan",
    "Preprocessing",
    "RandomResizedCrop",
    "Regime",
    "SizeReport",
    "WholeImage",
    "calibrate",
    "calibrated",
    "callbacks",
    "converters",
    "evaluate_sizes",
    "export_saved_model",
    "images",
    "max_batch",
    "models",
    "presets",
    "recipes",
    "service",
    "serving",
    "smooth",
    "sources",
]
