"""Every public object prints itself on one line that says what it is; reports, regimes and recipes print a text."""

import inspect
import types

import numpy as np
import pytest
from networks import tiny_network

import keras_mixsize as kms
from keras_mixsize import evaluation, export, recipes, training
from keras_mixsize.evaluation import Accuracy, SizeReport, SizeRow
from keras_mixsize.evaluation.calibration import Calibration
from keras_mixsize.evaluation.statistics import get_statistics

REGIME = kms.Regime.preset("imagenet224/d+", share="samples")
IMAGES, LABELS = np.zeros([40, 16, 16, 3], np.uint8), np.arange(40) % 10
PLAN = kms.Plan(kms.Regime.preset("cifar/bd+"), num_examples=50_000, seed=3)
ROW = SizeRow(24, Accuracy.of(90, 100), 0.5, Accuracy.of(95, 100), 0.4, 1_000_000, 0.25, 40)
REPORT = SizeReport("resnet8", (ROW,), {"images": 100})
CASCADE = export.Cascade(24, 32, 0.75, Accuracy.of(90, 100), 0.25, 0.5)
MANIFEST = {"name": "resnet8", "classes": ["cat", "dog"], "sizes": [{"size": 24}, {"size": 32}]}
MIXING = kms.images.MixUp(classes=10)


def served():
    return kms.serving.ServedModel(types.SimpleNamespace(signatures={}), MANIFEST)


def prediction():
    shares, names = np.full([40, 2], 0.5, np.float32), np.tile(["cat", "dog"], [40, 1])
    return kms.serving.Prediction(shares, shares, np.zeros([40, 2]), names, shares, np.full(40, 24))


CASES = {  # what each prints begins with
    "Bucket": (kms.Bucket(24, 56, 2, 0.3), "Bucket(size=24, batch=56, duplicates=2, probability=0.3)"),
    "Regime": (REGIME, "Regime('128x256x3:0.13333"),
    "Schedule": (kms.Schedule.finish(kms.Regime.preset("cifar/d+")), "Schedule('0.8*32x64x1:0.3,48"),
    "Plan": (PLAN, "Plan('32x64x1:0.3,48"),
    "sharded Plan": (PLAN.shard(1, 2), "Plan('32x64x1:0.3,48"),
    "Step": (PLAN.at(5), "Step(5, bucket='"),
    "SizeFamily": (recipes.FAMILIES["cifar"], "SizeFamily("),
    "Recipe": (
        recipes.find("cifar10/resnet44/d+"),
        "Recipe('cifar10/resnet44/d+', epochs=200, learning rate 0.1, x 0.1 at",
    ),
    "StepDecay": (recipes.StepDecay(0.1, (30, 60), 0.1), "StepDecay(learning_rate=0.1, epochs=(30, 60)"),
    "CosineDecay": (recipes.CosineDecay(0.2, 0.05), "CosineDecay(learning_rate=0.2, warmup_share=0.05)"),
    "PaperRow": (recipes.PAPER[0], "PaperRow(network='resnet44'"),
    "SmoothedCrossEntropy": (recipes.SmoothedCrossEntropy(0.1), "SmoothedCrossEntropy(0.1, name="),
    "Accuracy": (Accuracy.of(9, 10), "Accuracy(value=0.9, low="),
    "SizeRow": (ROW, "SizeRow(size=24, accuracy=Accuracy("),
    "SizeReport": (REPORT, "<SizeReport of 'resnet8', 24 px: 95.0%>"),
    "CascadePoint": (evaluation.CascadePoint(Accuracy.of(9, 10), 2e5), "CascadePoint(accuracy=Accuracy("),
    "EvaluationOptions": (evaluation.EvaluationOptions(calibrate=IMAGES), "EvaluationOptions(batches=200, "),
    "Calibration": (Calibration(get_statistics(tiny_network()), 40, 0.009), "<Calibration of 2 layers with 40 batches"),
    "Cascade": (CASCADE, "Cascade(small=24, large=32, threshold=0.75, "),
    "FitCascade": (export.FitCascade(IMAGES, LABELS, 0.9), "FitCascade(accuracy=0.9, sizes=None, work='multi"),
    "ExportOptions": (export.ExportOptions([24], calibration=IMAGES, report=REPORT), "ExportOptions(sizes=(24,), "),
    "Preprocessing": (kms.Preprocessing(0.875), "Preprocessing(center_crop=0.875, "),
    "Limits": (export.Limits(), "Limits(max_batch=256, max_pixels="),
    "ServedModel": (served(), "<ServedModel 'resnet8' of 2 classes at 24, 32 px>"),
    "Prediction": (prediction(), "<Prediction of 40 images: cat 50.0%, cat 50.0%, cat 50.0%, ...>"),
    "Transform": (kms.images.Transform(kms.RandomResizedCrop()), "Transform(augmentation=RandomResizedCrop("),
    "WholeImage": (kms.WholeImage(), "WholeImage("),
    "CenterCrop": (kms.CenterCrop(0.875), "CenterCrop(share=0.875)"),
    "PadCropFlip": (kms.PadCropFlip(3), "PadCropFlip(padding=3"),
    "RandomResizedCrop": (kms.RandomResizedCrop(), "RandomResizedCrop(area=(0.08, 1.0)"),
    "MixUp": (MIXING, "MixUp("),
    "CutMix": (kms.images.CutMix(classes=10), "CutMix("),
    "OneOf": (kms.images.OneOf(MIXING, kms.images.CutMix(classes=10)), "OneOf("),
    "SmoothLabels": (kms.images.SmoothLabels(10, 0.1), "SmoothLabels(classes=10, amount=0.1)"),
    "BySize": (kms.BySize({16: 2, 32: 9}), "BySize({16: 2, 32: 9})"),
    "RandAugment": (kms.images.RandAugment(layers=1), "RandAugment("),
    "SequenceSource": (
        kms.sources.sequence([(IMAGES[0], 0), (IMAGES[1, :8], 1)]),
        "SequenceSource(2 images, 2 classes)",
    ),
    "ArraySource": (kms.sources.ArraySource(IMAGES, LABELS), "ArraySource(40 images 16x16x3, "),
    "BytesSource": (kms.sources.BytesSource([b""] * 10, LABELS[:10]), "BytesSource(10 images"),
    "DamagePolicy": (kms.sources.DamagePolicy("skip"), "DamagePolicy("),
    "Resume": (kms.callbacks.Resume("run"), "Resume('run', every_steps=None, every_minutes=5.0, keep=3)"),
    "ValidateSizes": (
        kms.callbacks.ValidateSizes((np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, int)), [16, 8]),
        "ValidateSizes(sizes=[8, 16], calibrated=False, every=1)",
    ),
    "MixSizeDataset": (
        kms.MixSizeDataset.from_arrays(IMAGES, LABELS, regime=kms.Regime.fixed(16, 8)),
        "<MixSizeDataset of",
    ),
    "MixSizeModel": (kms.MixSizeModel.from_model(tiny_network()), "<MixSizeModel name=mixsize_tiny, built=True>"),
}
OTHERS = {
    "Augmentation", "SizedAugmentation", "Source", "EncodedSource",  # abstract
    "FileSource", "RecordSource", "ArrayRecordSource",  # print themselves as BytesSource does
    "StepImages", "Windows", "SmoothingState",  # tuples of tensors on their way through a graph
    "WarmUp", "Damaged",  # plain dataclasses of numbers
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_object_prints_itself_on_one_line_that_says_what_it_is(case):
    made, start = CASES[case]
    line = repr(made)
    assert line.startswith(start) and "\n" not in line and " at 0x" not in line and len(line) <= 500


def test_long_things_are_kept_short():
    assert len(repr(REGIME)) < 320 and len(repr(PLAN)) < 200 and "2" in repr(PLAN.shard(1, 2)).split("worker=")[1]


def test_a_report_a_regime_and_a_recipe_print_their_text():
    assert str(REPORT) == REPORT.table()
    assert kms.Regime.parse(str(REGIME), share="samples").buckets == REGIME.buckets
    assert str(recipes.find("embedded/resnet8/b+")).startswith("embedded/resnet8/b+\n  network")


def test_every_public_class_is_among_them():
    rooms = (kms, kms.images, kms.sources, kms.serving, kms.recipes, kms.callbacks, evaluation, export, training)
    public = {name for room in rooms for name in room.__all__ if inspect.isclass(getattr(room, name))}
    assert public - set(CASES) - OTHERS == set()
