"""Plan: the pure function from (seed, step) to the bucket and the samples of that step.

Every process computes the same plan without communication, and the whole input state is one integer, the step.
NumPy only; `input.drawing` draws the same numbers inside the input graph from the same functions of `hashing`.
Neighbours: `schedule` (a regime for each stage of the run), `stretch` (its blocks of steps), `order` (its examples).

    plan = Plan(regime, num_examples=50_000, seed=0)
    step = plan.at(123_456)                       # at once, without replaying earlier steps
    step.bucket, step.indices, step.pass_index
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json

import numpy as np

from keras_mixsize.arguments import check_choice, check_count
from keras_mixsize.regimes.bucket import Bucket
from keras_mixsize.regimes.hashing import fold, seed_key, shuffled
from keras_mixsize.regimes.mixture import Mixture
from keras_mixsize.regimes.order import NUMPY, Once, Order
from keras_mixsize.regimes.stretch import Stretch, stretches_of

SAMPLING = ("shuffled", "independent")
BUCKETS, IMAGES = 1, 3  # streams of randomness, apart from those of `order`
_CHUNK = 1 << 16  # steps whose sum of batches is kept, for sampling="independent"


@dataclasses.dataclass(frozen=True)
class Step:
    """What one optimisation step trains on.

    Attributes:
        step: the step's number, from 0.
        epoch: `step // steps_per_epoch`.
        bucket: its shape, for all workers together.
        bucket_index: the bucket's index in `regime.buckets`.
        first_sample: position of its first sample in the endless stream of samples.
        indices: int64 `[B]`, the examples (a worker's slice of them after `Plan.shard`).
        pass_index: the pass over the data that its first sample belongs to.
        passes: int64 `[B]`, the pass of each sample; a step may straddle two.
    """

    step: int
    epoch: int
    bucket: Bucket
    bucket_index: int
    first_sample: int
    pass_index: int
    indices: np.ndarray
    passes: np.ndarray

    def __repr__(self) -> str:
        numbers = f"epoch={self.epoch}, pass_index={self.pass_index}, first_sample={self.first_sample}"
        return f"Step({self.step}, bucket={str(self.bucket)!r}, {numbers}, {len(self.indices)} indices)"


class Plan:
    """The order of buckets and samples of a whole run.

    Every epoch has the same number of steps. A pass goes over every example exactly once, in an order of its own; step
    t takes the next B_t samples, so nothing is dropped where an epoch ends, and a pass need not end where an epoch
    does. A schedule's stages begin at their shares of all steps, which need not be where an epoch begins; after its
    last step the plan goes on with the last stage's regime.

    Args:
        regime: the buckets and their shares, a Regime for the whole run or a Schedule.
        num_examples: examples in the data set, at least the largest batch.
        seed: integer at or above 0.
        sampling: `"shuffled"` gives every epoch the same number of steps per bucket (largest remainder, one at least)
            in a shuffled order; of a schedule each block of so many steps, counted from its stage's first step.
            `"independent"` draws every step separately.
        epochs: of the whole run; needed for a schedule of several stages only, because they are shares of its steps.
        order: of the examples; each once in every pass unless given. With another one a pass is still `num_examples`
            samples, which may be of some examples more than of others.

    Raises:
        ValueError: an argument out of range, fewer examples than a batch, a schedule without epochs, or an order of
            another number of examples.
    """

    def __init__(
        self,
        regime: Mixture,
        num_examples: int,
        seed: int = 0,
        *,
        sampling: str = "shuffled",
        epochs: int | None = None,
        order: Order | None = None,
    ):
        check_choice("sampling", sampling, SAMPLING)
        _check_epochs(regime, epochs)
        largest = max(regime.buckets, key=lambda bucket: bucket.batch)
        if num_examples < largest.batch:
            raise ValueError(
                f"num_examples must be at least the largest batch, got {num_examples} examples for a batch of "
                f"{largest.batch} at size {largest.size}; use a smaller base_batch or more data"
            )
        if num_examples > 2**31:
            raise ValueError(f"num_examples must be at most 2^31, got {num_examples}")
        if order is not None and order.num_examples != num_examples:
            raise ValueError(f"order must be of the {num_examples} examples, got one of {order.num_examples}")
        self.key = seed_key(seed)
        self.regime = regime
        self.num_examples = int(num_examples)
        self.seed = int(seed)
        self.sampling = sampling
        self.order = Once(self.num_examples) if order is None else order
        self.epochs = None if epochs is None else int(epochs)
        self.worker, self.workers = 0, 1
        self.steps_per_epoch = regime.steps_per_epoch(num_examples)
        self.batches = np.array([bucket.batch for bucket in regime.buckets], np.int64)
        self.stretches = stretches_of(regime, self.steps_per_epoch, self.epochs)
        self._remember_blocks()

    def _remember_blocks(self) -> None:
        self._block = functools.lru_cache(maxsize=4)(self._draw_block)
        self._chunk_starts = [0]  # samples before each chunk of steps, as far as they were asked for

    def __getstate__(self) -> dict:
        memories = ("_block", "_chunk_starts")
        return {name: value for name, value in vars(self).items() if name not in memories}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._remember_blocks()

    def __repr__(self) -> str:
        settings = f"num_examples={self.num_examples}, seed={self.seed}, sampling={self.sampling_words!r}"
        settings += f", epochs={self.epochs}" if self.is_scheduled else ""
        slice_of = f", worker={self.worker} of {self.workers}" if self.workers > 1 else ""
        return f"Plan({str(self.regime)!r}, {settings}{slice_of})"

    @property
    def is_scheduled(self) -> bool:
        """Whether the regime changes during the run, at shares of its steps, and the plan is for its epochs only."""
        return len(self.regime.stages) > 1

    @property
    def sampling_words(self) -> str:
        """How steps and examples are drawn: `sampling`, and the name of the order if it is not each once."""
        return self.sampling + (f", {self.order.name}" if self.order.digest else "")

    def with_regime(self, regime: Mixture) -> Plan:
        """Return the plan of the same examples, in the same order, for other steps."""
        return Plan(regime, self.num_examples, self.seed, order=self.order)

    def shard(self, worker: int, workers: int) -> Plan:
        """Return the same plan as one of several workers sees it: its contiguous slice of every step's indices.

        The slices of all workers, one after the other, are the step's indices, so the global batches are the same for
        any number of workers. Batches that do not divide evenly are split as evenly as can be.

        Args:
            worker: this worker's number, in [0, workers).
            workers: how many workers share the plan.
        """
        check_count("workers", workers)
        if worker not in range(workers):
            raise ValueError(f"worker must lie in [0, {workers}), got {worker!r}")
        settings = {"sampling": self.sampling, "epochs": self.epochs, "order": self.order}
        sharded = Plan(self.regime, self.num_examples, self.seed, **settings)
        sharded.worker, sharded.workers = worker, workers
        return sharded

    def at(self, step: int) -> Step:
        """Return what step number `step` trains on, without going through earlier steps.

        Only `sampling="independent"` has to add up the batches of earlier steps, each once in the life of a plan.
        """
        if not isinstance(step, (int, np.integer)) or step < 0:
            raise ValueError(f"step must be at or above 0, got {step}")
        step = int(step)
        stretch = self.stretches[int(self._stretch_of(step))]
        position = (step - stretch.start) % stretch.block_steps
        order, starts = self._block(step - position, stretch.block_steps)
        bucket_index, first = int(order[position]), int(starts[position])
        bucket = self.regime.buckets[bucket_index]
        low, high = self.slice_of(bucket.batch)
        stream = np.arange(first + low, first + high)
        passes = stream // self.num_examples
        epoch, pass_index = step // self.steps_per_epoch, first // self.num_examples
        return Step(step, epoch, bucket, bucket_index, first, pass_index, self.samples(stream), passes)

    def slice_of(self, batch: int) -> tuple[int, int]:
        """Return the first row of a batch that this worker reads, and the first one after them."""
        return batch * self.worker // self.workers, batch * (self.worker + 1) // self.workers

    def samples(self, stream: np.ndarray) -> np.ndarray:
        """Return the examples at positions of the endless stream of samples: int64, of `stream`'s shape."""
        return self.order.draw(np.asarray(stream), self.key, NUMPY)[0]

    def buckets(self, steps: np.ndarray) -> np.ndarray:
        """Return the index of the bucket in `regime.buckets` for each step: int64 `[N]` from integers `[N]`."""
        steps = np.asarray(steps, np.int64)
        buckets, places = np.empty_like(steps), self._stretch_of(steps)
        for place, stretch in enumerate(self.stretches):
            here = places == place
            buckets[here] = self._draw_buckets(stretch, steps[here])
        return buckets

    def _stretch_of(self, steps: np.ndarray | int) -> np.ndarray:
        """Return the index of the stretch that each step lies in."""
        return np.searchsorted([stretch.start for stretch in self.stretches], steps, side="right") - 1

    def _draw_buckets(self, stretch: Stretch, steps: np.ndarray) -> np.ndarray:
        """Return the index of the bucket in `regime.buckets` for each step of a stretch."""
        if self.sampling == "independent":
            draws = self._draw_words(steps).astype(np.int64)
        else:
            blocks, positions = np.divmod(steps - stretch.start, stretch.block_steps)
            keys = fold(self.key, BUCKETS, (stretch.first_block + blocks).astype(np.uint32))
            draws = shuffled(positions, stretch.block_steps, keys)
        return stretch.first_bucket + np.searchsorted(stretch.edges(self.sampling), draws, side="right")

    def _draw_words(self, steps: np.ndarray) -> np.ndarray:
        """Return the words that independent steps draw their buckets by: uint32 `[N]`."""
        return fold(self.key, BUCKETS, steps.astype(np.uint32))

    def _draw_block(self, first_step: int, block_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the bucket and the first sample of each step of a block: int64 `[block_steps]` each."""
        order = self.buckets(np.arange(first_step, first_step + block_steps))
        ends = np.cumsum(self.batches[order])
        return order, self._samples_before(first_step) + ends - self.batches[order]

    def _samples_before(self, step: int) -> int:
        """Return how many samples the steps before the first step of a block take."""
        if self.sampling == "shuffled":
            ends = [min(stretch.start, step) for stretch in self.stretches[1:]] + [step]
            steps = [max(end - stretch.start, 0) for stretch, end in zip(self.stretches, ends)]
            return sum(count // each.block_steps * each.block_samples for each, count in zip(self.stretches, steps))
        starts, (chunk, _) = self._chunk_starts, divmod(step, _CHUNK)
        while len(starts) <= chunk:
            starts.append(starts[-1] + self._samples_of((len(starts) - 1) * _CHUNK, len(starts) * _CHUNK))
        return starts[chunk] + self._samples_of(chunk * _CHUNK, step)

    def _samples_of(self, first_step: int, end: int) -> int:
        """Return how many samples some independent steps take; counting is much quicker than looking up each bucket."""
        samples = 0
        for stretch, stop in zip(self.stretches, [*(later.start for later in self.stretches[1:]), end]):
            words = self._draw_words(np.arange(max(first_step, stretch.start), min(end, stop)))
            above = [np.count_nonzero(words >= int(edge)) for edge in stretch.edges(self.sampling)]
            counts = -np.diff([len(words), *above, 0])
            samples += int(counts @ [bucket.batch for bucket in stretch.regime.buckets])
        return samples

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that are equal for equal plans, whatever the worker.

        They cover the regime, the number of examples, seed, sampling, order, a schedule's epochs, and the first block
        of every stretch as drawn here, so that workers whose libraries draw differently would not agree.
        """
        settings = [self.regime.to_json(), self.num_examples, self.seed, self.sampling]
        settings += [self.epochs] if self.is_scheduled else []
        settings += [self.order.digest] if self.order.digest else []
        digest = hashlib.sha256(json.dumps(settings).encode())
        for stretch in self.stretches:
            order, starts = self._block(stretch.start, stretch.block_steps)
            digest.update(order.astype("<i8").tobytes() + starts.astype("<i8").tobytes())
        digest.update(self.samples(np.arange(min(self.num_examples, 4096))).astype("<i8").tobytes())
        return digest.hexdigest()[:16]


def _check_epochs(regime: Mixture, epochs: int | None) -> None:
    if epochs is not None:
        check_count("epochs", epochs)
    elif len(regime.stages) > 1:
        raise ValueError(
            f"epochs must be given for a schedule of {len(regime.stages)} stages, which are shares of all steps; give "
            "those of the whole run, as fit gets them"
        )
