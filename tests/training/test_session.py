"""What a fit is, is decided by a pure function: where it begins, how long it is, which callbacks in which order."""

import inspect

import keras
import pytest
import tensorflow as tf
from networks import compiled, tiny_network

import keras_mixsize as kms
from keras_mixsize.resuming.resume import Progress
from keras_mixsize.training.session import check_without_plan, plan_session

STRATEGY = tf.distribute.get_strategy()


@pytest.mark.parametrize(
    "asked, position, start",
    [
        ({}, 0, (0, 0)),
        ({}, 7, (7, 0)),
        ({"initial_epoch": 2}, 7, (2 * 19, 2)),
        ({"initial_epoch": 2, "steps_per_epoch": 5}, 7, (10, 2)),
    ],
    ids=["untrained", "trained before", "initial epoch", "steps of its own"],
)
def test_a_run_begins_where_the_model_is_or_at_the_epoch_that_is_asked_for(one_bucket, asked, position, start):
    session = plan_session({"x": one_bucket} | asked, position)
    assert session.progress == Progress(*start) and session.batches.start == start[0]
    assert session.steps_per_epoch == asked.get("steps_per_epoch", 19)


def test_a_dataset_that_starts_later_goes_before_the_models_position(one_bucket):
    later = one_bucket.starting_at(100)
    assert plan_session({"x": later}, 7).progress == Progress(100, 0)
    assert plan_session({"x": later, "initial_epoch": 1}, 7).progress == Progress(19, 1)


def test_callbacks_keep_their_order_between_the_logs_and_resume(one_bucket, tmp_path):
    first, second, log = (keras.callbacks.Callback() for _ in range(3))
    resume = kms.callbacks.Resume(tmp_path)
    session = plan_session({"x": one_bucket, "callbacks": [resume, [first, second]]}, 0)
    assert session.callbacks == (first, second, resume) and session.resume is resume
    assert session.with_logs(log).callbacks == (log, first, second, resume)
    assert plan_session({"x": one_bucket, "callbacks": first}, 0).resume is None


def test_keras_is_handed_arguments_that_it_has_and_those_of_the_user_among_them(one_bucket):
    asked = {"x": one_bucket, "epochs": 3, "verbose": 0, "validation_data": one_bucket, "validation_steps": 2}
    found = plan_session(asked, 5).arguments(STRATEGY)
    assert set(found) <= set(inspect.signature(keras.Model.fit).parameters)
    assert (found["epochs"], found["initial_epoch"], found["steps_per_epoch"]) == (3, 0, 19)
    assert found["verbose"] == 0 and found["validation_data"] is one_bucket and found["shuffle"] is False
    assert plan_session(asked | {"shuffle": True}, 0).arguments(STRATEGY)["shuffle"] is True
    assert found["x"].start == 5


def test_deciding_changes_nothing(one_bucket, tmp_path):
    asked = {"x": one_bucket, "epochs": 2, "callbacks": [kms.callbacks.Resume(tmp_path / "run")]}
    before = dict(asked)
    one, other = plan_session(asked, 3), plan_session(asked, 3)
    assert one == other and asked == before and not (tmp_path / "run").exists()


def test_workers_must_agree_on_what_makes_their_steps_the_same(one_bucket, tmp_path):
    def facts(**changes):
        return plan_session({"x": one_bucket} | changes, 0).facts()

    def differing(**changes):
        return [name for name, value in facts().items() if facts(**changes)[name] != value]

    other_seed = kms.MixSizeDataset.from_source(one_bucket.source, regime=one_bucket.plan.regime, seed=8)
    assert differing(x=other_seed) == ["seed", "the plan's fingerprint"]
    assert differing(epochs=2) == ["epochs"] and differing(steps_per_epoch=2) == ["steps_per_epoch"]
    assert differing(callbacks=[kms.callbacks.Resume(tmp_path)]) == ["Resume's every_steps and every_minutes"]


def test_arguments_of_fit_may_be_given_by_their_positions(one_bucket):
    model = compiled(tiny_network())
    history = model.fit(one_bucket, None, None, 2, 0, steps_per_epoch=1)
    assert history.epoch == [0, 1] and model.position == 2
    with pytest.raises(TypeError, match="epoch_count"):
        model.fit(one_bucket, epoch_count=2)


def test_other_data_must_end_and_cannot_be_resumed(one_bucket, small_arrays, tmp_path):
    endless = one_bucket.map(lambda images, labels: (images, labels))
    with pytest.raises(ValueError, match="steps_per_epoch must be given for an endless dataset"):
        check_without_plan({"x": endless})
    with pytest.raises(ValueError, match="must not hold 1 Resume: it needs a MixSizeDataset"):
        check_without_plan({"x": small_arrays[0], "callbacks": [kms.callbacks.Resume(tmp_path)]})
    check_without_plan({"x": endless, "steps_per_epoch": 3})
    check_without_plan({"x": small_arrays[0], "callbacks": None})
