"""max_batch runs real steps and stops before the limit."""

import pytest
from networks import compiled, tiny_network

from keras_mixsize.training import complexity
from keras_mixsize.training import warm_up as capacity
from keras_mixsize.training.warm_up import max_batch


@pytest.fixture
def model():
    """The tiny network, compiled."""
    return compiled(tiny_network())


def held_bytes():
    with complexity.peak_memory() as peak:
        return peak()


@pytest.mark.slow
@pytest.mark.skipif(not held_bytes(), reason="this system does not tell its memory")
def test_a_batch_at_the_limit_fits_and_twice_as_large_would_not(model):
    limit = held_bytes() + 600 * 2**20
    batch = max_batch(model, 64, multiple_of=64, limit_bytes=limit)
    assert batch % 64 == 0 and batch >= 64
    (largest,) = model.warm_up(capacity.Regime.fixed(64, batch))
    assert largest.peak_bytes <= 1.1 * limit
    assert model.position == 0


def test_memory_is_foreseen_on_the_line_of_the_last_two_batches():
    peaks = {8: 100, 16: 140, 32: 220}
    assert capacity._foreseen(peaks, 64) == 220 + 5 * 32
    assert capacity._foreseen({8: 100}, 16) == 0


def test_the_search_ends_at_the_largest_batch_that_fits(model, monkeypatch):
    monkeypatch.setattr(capacity, "_fits", lambda model, size, batch, peaks, limit: batch * size**2 <= 1_000_000)
    assert max_batch(model, 32, limit_bytes=1) == 976  # 1,000,000 / 1,024, down to a multiple of 8


def test_what_never_fits_is_refused(model):
    with pytest.raises(ValueError, match="multiple_of must be a batch that fits into memory at size 64, got 8"):
        max_batch(model, 64, limit_bytes=1)


def test_the_model_must_be_compiled():
    import keras_mixsize as kms

    with pytest.raises(ValueError, match="must be compiled first"):
        max_batch(kms.MixSizeModel(tiny_network()), 32)
