"""MultiWorkerMirroredStrategy on loopback: two and three real processes, started by `mixsize launch`.

They train in float64, because Keras takes the variance of synchronised batch norm as E[x^2] - E[x]^2, and that of one
process otherwise: in float32 the two runs part by 1e-4 in some weights. What is left is the norm of the gradients and
the images, which are float32.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_mixsize.distribution.workers import Agreement, Workers

HERE = pathlib.Path(__file__).parents[1]
SCRIPT = HERE / "multi_worker.py"


def launch(workers, command):
    """Start workers of this machine and wait; return the exit status and the lines of each worker."""
    command = [sys.executable, "-m", "keras_mixsize", "launch", f"--workers={workers}", "--", *map(str, command)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2500)
    lines = {index: [] for index in range(workers)}
    for line in done.stdout.splitlines():
        if line.startswith("["):
            index, _, text = line[1:].partition("] ")
            lines[int(index)].append(text)
    return done.returncode, lines, done.stdout + done.stderr


def train_on(workers, **options):
    """Return the facts of every worker of a training."""
    status, lines, output = launch(workers, [sys.executable, "-W", "ignore", SCRIPT, json.dumps(options)])
    assert status == 0, output[-4000:]
    return [json.loads(own[-1]) for own in lines.values()]


def train_alone(**options):
    """Return the facts of one process without a strategy, or None if it ended before it had any."""
    command = [sys.executable, str(SCRIPT), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2500)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None


@pytest.fixture(scope="module")
def alone():
    """The facts of one process."""
    return train_alone()


@pytest.fixture(scope="module", params=[(2, 1), (3, 1), (2, 2)], ids=lambda param: "{} workers of {}".format(*param))
def group(request):
    """The facts of two and three workers, and of two with two devices each."""
    workers, devices = request.param
    return train_on(workers, devices=devices)


@pytest.mark.slow
def test_workers_end_with_bitwise_equal_weights(group):
    assert len({facts["sum"] for facts in group}) == 1
    assert [facts["worker"] for facts in group] == [*range(len(group))]


@pytest.mark.slow
def test_the_run_is_that_of_one_process(group, alone):
    for weight, expected in zip(group[0]["weights"], alone["weights"], strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)
    assert group[0]["norm"] == pytest.approx(alone["norm"], rel=1e-6)
    for name in ("history", "resumed_history"):
        assert group[0][name].keys() == alone[name].keys()
        for key, values in alone[name].items():
            assert group[0][name][key] == pytest.approx(values, abs=1e-6), key
    assert group[0]["evaluated"] == pytest.approx(alone["evaluated"], abs=1e-6)


@pytest.mark.slow
def test_workers_finish_their_images_as_the_input_does(group):
    for facts in group:
        for weight, expected in zip(facts["on_files"], facts["on_finished_files"], strict=True):
            np.testing.assert_allclose(weight, expected, atol=1e-6)


@pytest.mark.slow
def test_every_worker_logs_the_totals_of_all(group, alone):
    assert all(facts["history"] == group[0]["history"] for facts in group)
    assert {facts["images"] for facts in group} == {alone["images"]}


@pytest.mark.slow
def test_each_worker_reads_only_its_slice(group):
    ends = np.cumsum([0, *group[0]["batches"]])
    slices = [(low, high) for low, high in zip(ends, ends[1:])]
    for index, facts in enumerate(group):
        planned = np.array(facts["planned"])
        own = [
            planned[low + (high - low) * index // len(group) :][: (high - low) // len(group)] for low, high in slices
        ]
        expected = np.concatenate(own)
        # the pipeline runs ahead of the training, so it has read some more
        assert facts["read"][: len(expected)] == expected.tolist()
        assert len(facts["read"]) < 2 * len(expected)


@pytest.mark.slow
def test_one_trace_per_bucket_on_every_worker(group):
    assert [facts["traces"] for facts in group] == [3] * len(group)


@pytest.mark.slow
def test_what_workers_tell_each_other(group):
    count = len(group)
    for facts in group:
        told = facts["meetings"]
        assert told["gathered"] == [*range(count)] and told["lengths"] == [5_000 * (i + 1) for i in range(count)]
        assert told["shared"] == [0, "state"] and told["failed"] == "FileNotFoundError: no disk"
        assert told["agreed"] == [True, False] and told["asked_again_at_once"][0] is False


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, message",
    [
        ("seed", "ValueError: seed must be the same on all workers, got 0 on worker 0, 1 on worker 1"),
        ("regime", "ValueError: regime must be the same on all workers, got "),
        ("epochs", "ValueError: epochs must be the same on all workers, got 2 on worker 0, 3 on worker 1"),
        ("odd", "the batch must be divisible by the "),
        ("sharded", "data must be whole under MultiWorkerMirroredStrategy, which shards it, got shard 0 of 2"),
        ("validate", "callbacks must not hold ValidateSizes under MultiWorkerMirroredStrategy; save the model with "),
        ("endless", "validation_steps must be given for validation_data without an end"),
    ],
)
def test_what_workers_cannot_train_together_is_refused_on_all(group, name, message):
    assert all(message in facts["refusals"][name] for facts in group)


@pytest.mark.slow
@pytest.mark.parametrize("first, second", [(1, 2), (2, 3), (3, 1)])
def test_a_run_goes_on_with_another_number_of_workers(tmp_path, alone, first, second):
    options = {"resume": str(tmp_path / "run")}
    command = [sys.executable, "-W", "ignore", SCRIPT]
    assert launch(first, [*command, json.dumps(options | {"stop": 18})])[0] == 0
    status, lines, output = launch(second, [*command, json.dumps(options)])
    assert status == 0, output[-4000:]
    end = json.loads(lines[0][-1])
    assert end["start"] == "step-0000000016"
    for weight, expected in zip(end["weights"], alone["weights"], strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)
    for name in ("loss", "accuracy", "loss_16"):
        assert end["history"][name][-1] == pytest.approx(alone["resumed_history"][name][0], abs=1e-6)


@pytest.mark.slow
def test_a_run_is_written_once_and_evaluated_on_the_first_worker(tmp_path):
    flags = ["--smoke", "--strategy=multi_worker", "--resume", f"--output={tmp_path}/run"]
    status, lines, output = launch(2, ["mixsize", "train", *flags])
    assert status == 0, output[-4000:]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["steps"] == results["steps_per_epoch"] and len(results["report"]["rows"]) == 2
    assert (tmp_path / "run" / "report.png").exists() and any("results in" in line for line in lines[0])
    assert not any("results in" in line or "accuracy" in line for line in lines[1])


def test_one_process_is_one_worker_which_tells_itself():
    workers = Workers(tf.distribute.get_strategy())
    assert (workers.count, workers.index, workers.is_chief, workers.local_replicas) == (1, 0, True, 1)
    assert workers.gather("x") == ["x"] and workers.share(lambda: 3) == 3
    assert workers.gather_numbers([1, 2]).tolist() == [[1, 2]]
    workers.check_agreement({"seed": object()})
    agreement = Agreement(workers)
    assert [agreement.any(step, step == 1) for step in range(3)] == [[False], [True], [False]]
    with pytest.raises(OSError, match="no disk"):
        workers.share(lambda: (_ for _ in ()).throw(OSError("no disk")))
