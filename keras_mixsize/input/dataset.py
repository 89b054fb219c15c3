"""MixSizeDataset: a source, a plan and a transform as one tf.data.Dataset of batches that change shape every step.

The whole plan is drawn inside the tf.data graph, so the pipeline's only state is the number of the next step: there is
no shuffle buffer and no Python call. Neighbours: `plan` (which samples), `sources` (their pixels), `training` (fit).

    train = MixSizeDataset.from_arrays(images, labels, regime=regime, augmentation=PadCropFlip(), seed=0)
    model.fit(train, epochs=200)                                          # MixSizeModel
    model.fit(train, epochs=200, steps_per_epoch=train.steps_per_epoch)   # any Keras model
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mixsize import sources
from keras_mixsize.arguments import check_choice, check_count
from keras_mixsize.images.augmentations import PadCropFlip, RandomResizedCrop
from keras_mixsize.images.mixing import CutMix, MixUp, OneOf, SmoothLabels
from keras_mixsize.images.transform import Transform
from keras_mixsize.input.steps import batches, loader
from keras_mixsize.internals import WrappedDataset, keras_asks_without_steps
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.order import Balanced, Order, Weighted
from keras_mixsize.regimes.plan import SAMPLING, Plan
from keras_mixsize.regimes.regime import Regime


class MixSizeDataset(WrappedDataset):
    """Batches `(images [B*D, S, S, C], labels [B*D])` of the plan's steps, in order, without end.

    With weights of the examples a batch has them as its third part. Labels may be a dictionary of several outputs'.

    The copies of an image are B rows apart ("duplicate-major"), so that replicas, which take contiguous rows, normalise
    over as many different images as can be. Every step has one of the regime's shapes; there is no smaller last batch.
    The dataset is endless because an epoch goes on in the plan where the last one ended: `MixSizeModel.fit` knows its
    length, a plain Keras `fit` must be given `steps_per_epoch=train.steps_per_epoch`, and is refused without.

    The sizes change from step to step, so `element_spec` does not say them: images `[None, None, None, C]`, or what
    `for_step` gives, and labels.

    Randomness is a hash of (seed, pass, example, duplicate): the same seed gives bitwise the same batches, whatever the
    parallelism and wherever the iteration starts.

    Args:
        source: where the examples come from.
        plan: which examples and which bucket each step takes; a sharded plan gives the worker's rows.
        transform: augmentation, interpolation, dtype and the user's own maps.
        start: the first step.
        parallel_calls: steps prepared at the same time.
        load: the `steps.loader` of another dataset of the same source, plan and transform, to trace the input once for
            both.

    Raises:
        ValueError: a plan for another number of examples, or a batch that its workers cannot share evenly.
    """

    def __init__(
        self,
        source: sources.Source,
        plan: Plan,
        transform: Transform = Transform(),
        *,
        start: int = 0,
        parallel_calls: int = tf.data.AUTOTUNE,
        load: Callable | None = None,
    ):
        if plan.num_examples != source.num_examples:
            raise ValueError(f"plan is for {plan.num_examples} examples, but the source has {source.num_examples}")
        plan.regime.check_workers(plan.workers)
        _check_mixing(source, transform)
        self.source = source
        self.plan = plan
        self.transform = transform
        self.start = start
        self.parallel_calls = parallel_calls
        self._load = loader(source, plan, transform) if load is None else load
        stateless = transform.image_map is None and transform.batch_map is None
        super().__init__(batches(self._load, plan, start, parallel_calls, stateless=stateless))

    def __reduce__(self):
        """Return what makes an equal dataset: pickled and copied are source, plan and transform, not the graph."""
        options = {"start": self.start, "parallel_calls": self.parallel_calls}
        return functools.partial(MixSizeDataset, **options), (self.source, self.plan, self.transform)

    def __repr__(self) -> str:
        return f"<MixSizeDataset of {self.source!r}, {self.plan!r}, from step {self.start}>"

    # Constructors

    @classmethod
    def from_source(
        cls,
        source: sources.Source,
        *,
        regime: Mixture,
        epochs: int | None = None,
        seed: int = 0,
        sampling: str = "shuffled",
        sampling_weights: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
        parallel_calls: int = tf.data.AUTOTUNE,
        **transform,
    ) -> MixSizeDataset:
        """Return the training batches of any source.

        Unless `augmentation=` says otherwise, images in memory are padded by an eighth of their height, cropped and
        flipped, and encoded ones get a random resized crop and a flip.

        Args:
            source: where the examples come from.
            regime: the buckets and their shares, a `Regime` or a `Schedule`.
            epochs: of the whole run, as `fit` gets them; needed for a schedule of several stages only.
            seed: of the order and of every augmentation.
            sampling: `"shuffled"` or `"independent"`, see `Plan`; or `"balanced"`: shuffled, and every class as often
                as every other, see `regimes.Balanced`.
            sampling_weights: `[num_examples]`, how often each example is drawn in proportion, see `regimes.Weighted`.
            sample_weight: `[num_examples]`, what each example's loss is multiplied with, as in Keras's `fit`; batches
                are then (images, labels, weights).
            parallel_calls: steps prepared at the same time.
            **transform: fields of `Transform`, such as `augmentation=` or `dtype=`.

        Raises:
            ValueError: no source, an option that there is not, with the nearest one, or weights that do not fit.
        """
        _check_source(source)
        source = source if sample_weight is None else source.weighted(sample_weight)
        for name in transform:
            check_choice("option", name, _TRANSFORM)
        order = _order_of(source, sampling, sampling_weights)
        steps = "shuffled" if sampling == "balanced" else sampling
        plan = Plan(regime, source.num_examples, seed, sampling=steps, epochs=epochs, order=order)
        transform = {"augmentation": _usual_augmentation(source)} | transform
        return cls(source, plan, Transform(**transform), parallel_calls=parallel_calls)

    @classmethod
    def from_arrays(cls, images: np.ndarray, labels: np.ndarray, *, regime: Mixture, **options) -> MixSizeDataset:
        """Return the training batches of images in memory.

        Args:
            images, labels: see `ArraySource`.
            regime: see `from_source`.
            **options: `class_names=` and `label_offset=` of `ArraySource`, `classes=` of `sources.of_classes`, and
                those of `from_source`.
        """
        own, others = _parted(options, sources.ArraySource)
        source = sources.of_classes(sources.ArraySource(images, labels, **own), others.pop("classes", None))
        return cls.from_source(source, regime=regime, **others)

    @classmethod
    def from_folder(cls, path: str | os.PathLike, *, regime: Mixture, **options) -> MixSizeDataset:
        """Return the training batches of a folder of class folders of images.

        Args:
            path: the folder.
            regime: see `from_source`.
            **options: of `sources.folder`, such as `class_names=`, `classes=` or `damage=`, and of `from_source`.
        """
        own, others = _parted(options, sources.folder)
        return cls.from_source(sources.folder(path, **own), regime=regime, **others)

    @classmethod
    def from_records(cls, path: str | os.PathLike, *, regime: Mixture, **options) -> MixSizeDataset:
        """Return the training batches of TFRecord shards, read by index.

        Args:
            path: of the shards, see `sources.records`.
            regime: see `from_source`.
            **options: of `sources.records`, such as `image_key=`, `label_offset=` or `class_names=`, and of
                `from_source`.
        """
        own, others = _parted(options, sources.records)
        return cls.from_source(sources.records(path, **own), regime=regime, **others)

    @classmethod
    def from_tfds(
        cls,
        name: str,
        *,
        regime: Mixture,
        split: str = "train",
        data_dir: str | None = None,
        damage="raise",
        **options,
    ) -> MixSizeDataset:
        """Return the training batches of a tensorflow-datasets data set; see `sources.tfds_source`."""
        source = sources.tfds_source(name, split, data_dir=data_dir, damage=damage)
        return cls.from_source(source, regime=regime, **options)

    @classmethod
    def from_sequence(cls, items: Any, *, regime: Mixture, **options) -> MixSizeDataset:
        """Return the training batches of any examples by number, such as a list, a PyDataset or a pandas frame.

        Args:
            items: see `sources.sequence`.
            regime: see `from_source`.
            **options: of `sources.sequence`, such as `image_key=` or `label_key=`, and of `from_source`.
        """
        own, others = _parted(options, sources.sequence)
        return cls.from_source(sources.sequence(items, **own), regime=regime, **others)

    @classmethod
    def from_embedded(cls, split: str = "train", *, regime: Mixture, **options) -> MixSizeDataset:
        """Return the training batches of the Fashion-MNIST subset inside the package; see `sources.fashion_mnist`."""
        return cls.from_source(sources.fashion_mnist(split), regime=regime, **options)

    # The same data, seen otherwise

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, the same for every epoch."""
        return self.plan.steps_per_epoch

    def starting_at(self, step: int) -> MixSizeDataset:
        """Return the dataset from another step on, at once: no earlier batch is made."""
        return self._changed(start=step)

    def shard(self, num_shards: int, index: int) -> MixSizeDataset:
        """Return one worker's rows of every step (tf.data's own `shard` would hand out whole steps)."""
        return self._changed(plan=self.plan.shard(index, num_shards))

    def for_step(self) -> MixSizeDataset:
        """Return the same batches as `MixSizeModel.fit` takes them: decoded files as bytes, not mirrored yet.

        Instead of images there are then `images.StepImages`, a quarter of the bytes that floats are. `MixSizeModel`
        takes them, and `images.mirror_inputs` makes images of them. Nothing changes where images are in memory, decoded
        exactly, or changed by `image_map` or `batch_map`.
        """
        leaves_flip = self.transform.can_be_in_step and not isinstance(self.source, sources.ArraySource)
        return self._changed(transform=dataclasses.replace(self.transform, in_step=leaves_flip))

    def at_size(self, size: int, batch: int | None = None) -> MixSizeDataset:
        """Return batches of the same examples and augmentation at one size, for batch-norm calibration.

        Args:
            size: side in pixels.
            batch: images per step; unless given, what the base's budget holds at that size, but at least 32 (as far as
                there are so many examples), because smaller batches make poor statistics.
        """
        check_count("size", size)
        batch = self.calibration_batch(size) if batch is None else batch
        plan = self.plan.with_regime(Regime.fixed(size, batch))
        return self._changed(plan=plan, start=0, transform=dataclasses.replace(self.transform, in_step=False))

    def calibration_batch(self, size: int) -> int:
        """Return the images per step of `at_size`."""
        return min(max(32, self.plan.regime.base.cost // size**2), self.source.num_examples)

    def _changed(self, **changes) -> MixSizeDataset:
        """Return the dataset with other arguments; itself where none changes."""
        now = {
            "plan": self.plan,
            "transform": self.transform,
            "start": self.start,
            "parallel_calls": self.parallel_calls,
        }
        changed = now | changes
        if changed == now:
            return self
        same_steps = changed["plan"] is self.plan and changed["transform"] is self.transform
        return MixSizeDataset(self.source, **changed, load=self._load if same_steps else None)

    # tf.data.Dataset

    def cardinality(self) -> tf.Tensor:
        """Return `tf.data.INFINITE_CARDINALITY`.

        Raises:
            ValueError: Keras asks, for a `fit` or `evaluate` that was given no number of steps and would never end.
        """
        if keras_asks_without_steps():
            raise ValueError(
                "steps_per_epoch must be given, because a MixSizeDataset is endless: use "
                f"steps_per_epoch={self.steps_per_epoch} (train.steps_per_epoch), or MixSizeModel, which knows it; "
                "evaluate takes steps=, validation data validation_steps="
            )
        return super().cardinality()


_TRANSFORM = tuple(field.name for field in dataclasses.fields(Transform))


def _parted(options: dict, make: Callable) -> tuple[dict, dict]:
    """Return the options that a function takes by name, and the others."""
    known = inspect.signature(make).parameters
    own = {name: value for name, value in options.items() if name in known}
    return own, {name: value for name, value in options.items() if name not in known}


def _check_source(source) -> None:
    """Raise a ValueError for what many programs have instead of a source."""
    if isinstance(source, sources.Source):
        return
    remedy = "use MixSizeDataset.from_sequence for examples by number, or a source of keras_mixsize.sources"
    if isinstance(source, tf.data.Dataset):
        remedy = (
            "it has no examples by number, which the plan asks for; use MixSizeDataset.from_arrays, from_folder, "
            "from_records or from_tfds on the data that it reads"
        )
    raise ValueError(f"source must be a keras_mixsize source, got a {type(source).__name__}: {remedy}")


def _check_mixing(source: sources.Source, transform: Transform) -> None:
    """Raise a ValueError if images are mixed whose weights or several labels would not be."""
    several, weighted = isinstance(source.labels, dict), source.sample_weight is not None
    mixes = isinstance(transform.batch_map, (MixUp, CutMix, OneOf))
    if (mixes and (several or weighted)) or (isinstance(transform.batch_map, SmoothLabels) and several):
        name = type(transform.batch_map).__name__
        raise ValueError(f"batch_map must not be {name} with sample_weight or labels of several outputs; leave it out")


def _order_of(source: sources.Source, sampling: str, weights: np.ndarray | None) -> Order | None:
    """Return the order of the examples that `from_source` is asked for, None for each once."""
    check_choice("sampling", sampling, (*SAMPLING, "balanced"))
    if sampling == "balanced":
        if weights is not None:
            raise ValueError("sampling_weights must be None with sampling='balanced', which sets them; choose one")
        return Balanced(source.labels)
    if weights is None:
        return None
    if np.shape(weights) != (source.num_examples,):
        raise ValueError(f"sampling_weights must be {source.num_examples} numbers, got the shape {np.shape(weights)}")
    return Weighted(weights)


def _usual_augmentation(source: sources.Source):
    if isinstance(source, sources.ArraySource):
        return PadCropFlip(padding=max(1, source.images.shape[1] // 8))
    return RandomResizedCrop()
