"""Tests of the evidence's grid: equal cost, choices on validation images, results that survive a kill, summary."""

import contextlib
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import types

import keras
import numpy as np
import pytest
from evidence import runs as runs_module
from evidence import settings as settings_module
from evidence.arms import ARMS, BASE, CORE, MIXED, Arm, Sizes, Stage
from evidence.budget import baseline, choose_lengths
from evidence.grid import FINAL_SEEDS, FINALISTS, SEEDS, Results, pending
from evidence.phases import Phase, make_phases
from evidence.runs import Run, run_one
from evidence.settings import SETTINGS, Data, Setting, draw
from evidence.summary import T_QUANTILES, interval, summarize
from evidence.tables import markdown, write
from evidence.training import Average, Rates
from networks import tiny_network

import keras_mixsize as kms

EVIDENCE = pathlib.Path(__file__).parents[2] / "docs" / "evidence"
EXAMPLES = 1000
SMALL = Setting("glyphs", load=None, epochs=6)


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory, monkeypatch):
    """Keep the locks of a test to itself."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("temporary")))


def phases_of(arm, setting=SMALL, examples=EXAMPLES):
    """Return an arm's phases and forks over plans alone, without pictures."""

    def make(sizes):
        return types.SimpleNamespace(plan=kms.Plan(sizes.regime(setting.base_size, setting.base_batch), examples))

    return make_phases(arm, setting, make)


def counted(phase, of):
    """Return what a phase spends, step by step."""
    return sum(of(phase.train.plan.at(step).bucket) for step in range(phase.first, phase.last))


# Equal cost


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_costs_its_share_of_the_baseline_within_one_step(name):
    arm = ARMS[name]
    of = {"pixels": lambda b: b.size**2 * b.batch * b.duplicates, "samples": lambda b: b.batch}[arm.equal]
    wanted = arm.cost * of(kms.Bucket(16, 64)) * round(EXAMPLES / 64) * SMALL.epochs
    phases, forks = phases_of(arm)
    for path in [[*phases, fork] for fork in forks.values()] or [phases]:
        largest = max(of(bucket) for phase in path for bucket in phase.train.plan.regime.buckets)
        assert abs(sum(counted(phase, of) for phase in path) - wanted) <= largest


@pytest.mark.parametrize("name", ARMS)
def test_phases_follow_each_other_without_a_gap_to_the_end_of_the_schedule(name):
    phases, forks = phases_of(ARMS[name])
    for path in [[*phases, fork] for fork in forks.values()] or [phases]:
        assert path[0].first == 0 and path[0].progress[0] == 0.0
        assert path[-1].progress[1] == pytest.approx(1.0)
        for before, after in itertools.pairwise(path):
            assert before.last == after.first and before.progress[1] == after.progress[0]


@pytest.mark.parametrize("name", ["d+finish", "b+finish", "progressive", "bd+finish"])
def test_stages_take_their_share_of_the_steps(name):
    phases, _ = phases_of(ARMS[name])
    for phase, stage in zip(phases, ARMS[name].stages):
        assert phase.steps == pytest.approx(stage.share * phases[-1].last, abs=1)


def test_a_finishing_arm_ends_at_the_base():
    for name in ARMS:
        if "finish" in name:
            assert str(phases_of(ARMS[name])[0][-1].train.plan.regime) == "16x64x1:1.0"


def test_forks_are_trained_at_each_test_size():
    _, forks = phases_of(ARMS["finetuned"])
    assert {size: fork.train.plan.regime.sizes for size, fork in forks.items()} == {
        size: (size,) for size in (8, 12, 16, 20, 24)
    }


def test_one_stage_of_one_size_takes_the_baseline_s_steps():
    plan = kms.Plan(kms.Regime.fixed(16, 64), EXAMPLES)
    budget = baseline(EXAMPLES, 6, 16, 64, "pixels")
    assert choose_lengths([plan], [1.0], budget, "pixels") == [6 * plan.steps_per_epoch]


def test_names_of_arms_are_their_keys_and_shares_are_probabilities():
    assert [arm.name for arm in ARMS.values()] == list(ARMS)
    assert sum(share for _, share in MIXED) == pytest.approx(1.0)


def test_constant_batch_holds_at_sizes_above_the_base_too():
    assert str(Sizes(grow="constant").regime(16, 64)) == "16x64x1:0.3,24x64x1:0.2,12x64x1:0.3,8x64x1:0.2"


# The schedule and the average


def test_the_learning_rate_is_one_cosine_over_all_phases():
    reference = keras.optimizers.schedules.CosineDecay(0.1, 20)
    model = types.SimpleNamespace(optimizer=types.SimpleNamespace(learning_rate=None))
    rates = []
    for phase in (Phase(None, 0, 16, (0.0, 0.8)), Phase(None, 16, 20, (0.8, 1.0))):
        callback = Rates(ARMS["fixed"], 0.1, phase)
        callback.set_model(model)
        for batch in range(phase.steps):
            callback.on_train_batch_begin(batch)
            rates.append(model.optimizer.learning_rate)
    np.testing.assert_allclose(rates, [float(reference(step)) for step in range(20)], rtol=1e-5, atol=1e-8)


def test_the_paper_s_decay_is_a_tenth_after_81_122_and_164_of_200_epochs():
    phase = Phase(None, 0, 200, (0.0, 1.0))
    callback = Rates(ARMS["paper_d+"], 1.0, phase)
    callback.set_model(types.SimpleNamespace(optimizer=types.SimpleNamespace(learning_rate=None)))
    rates = []
    for batch in range(200):
        callback.on_train_batch_begin(batch)
        rates.append(callback.model.optimizer.learning_rate)
    np.testing.assert_allclose(rates, [1.0] * 81 + [0.1] * 41 + [0.01] * 42 + [0.001] * 36)


def test_the_learning_rate_follows_the_batch_of_each_step():
    (phase,), _ = phases_of(ARMS["b+sqrt"])
    callback = Rates(ARMS["b+sqrt"], 1.0, phase)
    callback.set_model(types.SimpleNamespace(optimizer=types.SimpleNamespace(learning_rate=None)))
    for step in range(12):
        callback.on_train_batch_begin(step)
        batch = phase.train.plan.at(step).bucket.batch
        expected = np.sqrt(batch / 64) * (1 + np.cos(np.pi * step / phase.steps)) / 2
        assert callback.model.optimizer.learning_rate == pytest.approx(expected)


def test_average_is_the_moving_average_of_the_weights():
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    average, expected = Average(network, momentum=0.5), None
    for step, value in enumerate([1.0, 2.0, 4.0, 8.0] + [3.0] * 20):
        network.weights[0].assign([[value]])
        average.on_train_batch_end(step)
        momentum = min(0.5, step / (10 + step))
        expected = value if expected is None else momentum * expected + (1 - momentum) * value
    average.use()
    assert network.weights[0].numpy().item() == pytest.approx(expected, rel=1e-5)


# Data


def test_drawn_images_are_disjoint_and_the_same_again():
    train, validation = draw(100, 30, 20)
    assert len({*train, *validation}) == 50
    np.testing.assert_array_equal(train, draw(100, 30, 20)[0])


def test_glyphs_keep_the_split_of_the_file(tmp_path):
    images = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((1, 32, 32), np.uint8)
    split = np.array(["train"] * 6 + ["validation"] * 2 + ["test"] * 4)
    np.savez(tmp_path / "glyphs.npz", images=images, labels=np.arange(12, dtype=np.uint8), split=split)
    data = settings_module.glyphs(tmp_path / "glyphs.npz", train=4)
    assert set(data.train.labels) < set(range(6)) and data.train.num_examples == 4
    assert data.validation.labels.tolist() == [6, 7] and data.test.labels.tolist() == [8, 9, 10, 11]
    assert data.test.images[:, 0, 0, 0].tolist() == [8, 9, 10, 11] and not data.flip


def test_clipart_is_shrunk_and_its_test_folder_kept_apart(tmp_path):
    for split, count in (("train", 10), ("test", 3)):
        for name, grey in (("cat", 40), ("dog", 200)):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                keras.utils.save_img(folder / f"{index}.png", np.full((48, 48, 3), grey), scale=False)
    data = settings_module.clipart(tmp_path)
    assert data.classes == 2 and data.test.num_examples == 6
    assert (data.train.num_examples, data.validation.num_examples) == (16, 4)
    assert data.train.images.shape[1:] == (32, 32, 3)
    assert set(np.unique(data.train.images)) == {40, 200}


# The grid


def result_of(run, correct, test=None, base=16):
    """Return a finished run's result with the same right answers of 1,000 at every size."""
    row = {"count": 1000, "raw": correct, "correct": correct}
    sizes = ("8", "12", "16", "20", "24")
    tested = {size: row | {"correct": correct if test is None else test} for size in sizes}
    return {
        **{"learning_rate": run.learning_rate, "seed": run.seed, "steps": 10},
        **{"pixels": 990, "pixels_of_baseline": 1000},
        "about": {
            "base_size": base, "network": "resnet14", "epochs": 60, "images": {"train": 4000, "test": 1000}
        },
        "cpu_seconds": {"train": 1.0},
        "multiply_adds": dict.fromkeys(sizes, 5),
        "train": {"16": row},
        "validation": dict.fromkeys(sizes, row),
        "test": tested,
    }  # fmt: skip


def finish(results, setting, arm, correct, seeds=SEEDS, best=0.1, test=None):
    """Write results of all learning rates for seed 0, of the best one for the other seeds."""
    for rate in (best / 2, best, 2 * best):
        run = Run(setting, arm, rate, 0)
        results.write(run, result_of(run, correct - (rate != best), test))
    for seed in seeds[1:]:
        run = Run(setting, arm, best, seed)
        results.write(run, result_of(run, correct + seed, None if test is None else test + seed))


def test_the_grid_begins_with_the_core_arms_learning_rates(tmp_path):
    runs = list(pending(Results(tmp_path), ["glyphs", "fashion4k"]))
    core = [arm.name for arm in CORE]
    assert [run.arm for run in runs[:20]] == [name for _ in range(2) for name in core for _ in range(2)]
    assert {run.setting for run in runs[:10]} == {"glyphs"} and {run.seed for run in runs} == {0}


def test_a_finished_run_is_not_done_again(tmp_path):
    results, run = Results(tmp_path), Run("glyphs", "fixed", 0.1, 0)
    before = list(pending(results, ["glyphs"]))
    results.write(run, result_of(run, 900))
    assert list(pending(results, ["glyphs"])) == [other for other in before if other != run]
    with results.claimed(run) as mine:
        assert not mine


@pytest.mark.parametrize(
    "validation, tried",
    [
        ({0.05: 1, 0.1: 3, 0.2: 2}, (0.1, 0.2, 0.05)),
        ({0.1: 1, 0.2: 2, 0.4: 4, 0.8: 3}, (0.1, 0.2, 0.4, 0.8)),
        ({0.1: 2, 0.2: 1, 0.05: 3, 0.025: 4, 0.0125: 5}, (0.1, 0.2, 0.05, 0.025, 0.0125)),
    ],
)
def test_the_learning_rate_is_chosen_when_both_its_neighbours_were_tried(validation, tried, tmp_path):
    results, arm, seen = Results(tmp_path), ARMS["fixed"], []
    while rates := results.rates_to_try("glyphs", arm):
        assert results.chosen_rate("glyphs", arm) is None
        run = Run("glyphs", "fixed", rates[0], 0)
        results.write(run, result_of(run, 900 + validation[rates[0]]))
        seen.append(rates[0])
    assert tuple(seen) == tried and results.chosen_rate("glyphs", arm) == max(validation, key=validation.get)


def test_more_seeds_follow_at_the_learning_rate_that_validation_images_choose(tmp_path):
    results = Results(tmp_path)
    for rate, validation, test in ((0.05, 900, 990), (0.1, 950, 100), (0.2, 940, 999)):
        run = Run("glyphs", "fixed", rate, 0)
        results.write(run, result_of(run, validation, test))
    assert results.chosen_rate("glyphs", ARMS["fixed"]) == 0.1
    runs = list(pending(results, ["glyphs"], ["fixed"]))
    assert [(run.learning_rate, run.seed) for run in runs] == [(0.1, seed) for seed in (*SEEDS[1:], *FINAL_SEEDS)]


def test_the_mean_over_sizes_decides_where_the_base_does_not(tmp_path):
    results = Results(tmp_path)
    for rate, small in ((0.05, 700), (0.1, 800), (0.2, 750)):
        run = Run("glyphs", "fixed", rate, 0)
        result = result_of(run, 900)
        result["validation"]["8"] = {"count": 1000, "raw": small, "correct": small}
        results.write(run, result)
    assert results.chosen_rate("glyphs", ARMS["fixed"]) == 0.1


def test_only_the_baseline_and_the_best_arms_get_the_last_seeds(tmp_path):
    results = Results(tmp_path)
    names = ["fixed", "d+", "b+", "d+finish", "b+finish", "bd+", "random_size"]
    for place, name in enumerate(names):
        finish(results, "glyphs", name, 900 + 10 * place)
    late = {run.arm for run in pending(results, ["glyphs"], names) if run.seed in FINAL_SEEDS}
    assert late == {"fixed", *names[-FINALISTS:]}


def test_a_result_is_written_whole_or_not_at_all(tmp_path):
    results, run = Results(tmp_path), Run("glyphs", "fixed", 0.1, 0)
    with pytest.raises(TypeError):
        results.write(run, {"test": object()})
    assert not results.done(run) and not list(tmp_path.rglob("*_0.json*"))


def test_two_processes_share_the_grid(tmp_path):
    first, second, run = Results(tmp_path), Results(tmp_path), Run("glyphs", "fixed", 0.1, 0)
    with first.claimed(run) as mine, second.claimed(run) as theirs:
        assert mine and not theirs
    with second.claimed(run) as theirs:
        assert theirs


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    results, run = Results(tmp_path / "runs"), Run("glyphs", "fixed", 0.1, 0)
    with results.claimed(run):
        (lock,) = (pathlib.Path(tempfile.gettempdir()) / "keras_mixsize_evidence").iterdir()
    hold = f"import fcntl, time; s = open({str(lock)!r}); fcntl.flock(s, 2); print('held', flush=True); time.sleep(999)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with results.claimed(run) as mine:
            assert not mine
        other.kill()
    with results.claimed(run) as mine:
        assert mine


# A run


def tiny_data():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 32, 32, 1), np.uint8)
    parts = (
        kms.sources.ArraySource(images[part], np.arange(40)[part] % 4) for part in np.split(np.arange(40), [24, 32])
    )
    return Data(*parts, classes=4, flip=False)


@pytest.fixture
def tiny(monkeypatch):
    """A setting of two steps of a tiny network, tested at two sizes."""
    monkeypatch.setattr(settings_module, "TEST_SCALES", (0.5, 1.0))
    monkeypatch.setattr(runs_module, "CALIBRATION_BATCHES", 1)
    monkeypatch.setattr(kms.models, "build", lambda name, classes, channels: tiny_network(channels, classes))
    return Setting("glyphs", load=None, epochs=1, base_batch=8, network="resnet8")


def test_a_run_writes_everything_down(tiny, tmp_path):
    run, results = Run("glyphs", "fixed", 0.1, 0), Results(tmp_path)
    results.write(run, run_one(run, tiny, tiny_data()))
    result = json.loads((tmp_path / "glyphs" / "fixed" / "0.1_0.json").read_text())
    assert result["steps"] == 3 and result["pixels"] == result["pixels_of_baseline"] == 3 * 8 * 256
    assert result["samples"] == 24 and result["phases"][0]["regime"] == "16x8x1:1.0"
    for part, sizes, count in (("test", {"8", "16"}, 8), ("validation", {"8", "16"}, 8), ("train", {"16"}, 24)):
        assert result[part].keys() == sizes
        assert all(row["count"] == count and 0 <= row["correct"] <= count for row in result[part].values())
    assert result["multiply_adds"]["16"] == pytest.approx(4 * result["multiply_adds"]["8"], rel=0.01)
    assert len(result["history"]["loss"]) == 1 and result["seconds"].keys() == {"train", "evaluate"}
    assert result["command"].endswith("run --settings=glyphs --arms=fixed --rates=0.1 --seeds=0")
    assert {"keras_mixsize", "commit", "keras", "tensorflow"} <= result["versions"].keys()
    assert result["about"]["images"] == {"train": 24, "validation": 8, "test": 8}


def test_stages_and_averages_train_in_one_model(tiny, monkeypatch):
    positions = []
    monkeypatch.setattr(runs_module, "evaluate", lambda model, *_: positions.append(model.position) or {})
    stages = (Stage(0.5, Sizes(((0.5, 1.0),))), Stage(0.5, Sizes(BASE)))
    monkeypatch.setitem(ARMS, "two", Arm("two", stages, ema=0.9))
    result = run_one(Run("glyphs", "two", 0.1, 0), tiny, tiny_data())
    assert positions == [result["steps"]]
    assert result["steps"] == sum(phase["steps"] for phase in result["phases"]) and len(result["phases"]) == 2


def test_every_fork_starts_where_the_common_steps_ended(tiny, monkeypatch):
    seen = {}

    def look(model, data, calibration, base_size, sizes):
        seen[sizes[0]] = model.position
        return {"test": {str(sizes[0]): model.position}}

    monkeypatch.setattr(runs_module, "evaluate", look)
    result = run_one(Run("glyphs", "finetuned", 0.1, 0), tiny, tiny_data())
    common = result["phases"][0]["steps"]
    assert seen == {int(size): common + fork["steps"] for size, fork in result["forks"].items()}
    assert result["test"] == {str(size): position for size, position in seen.items()}


# The summary


def t_probability(quantile, degrees):
    """Return the share of Student's t below a quantile, by summing its density."""
    x = np.linspace(0.0, quantile, 200_001)
    density = (1 + x**2 / degrees) ** (-(degrees + 1) / 2)
    far = np.linspace(0.0, 1.0, 2_000_001)[:-1] / 1.0  # x = u / (1 - u) covers all of the half line
    whole = (1 + (far / (1 - far)) ** 2 / degrees) ** (-(degrees + 1) / 2) / (1 - far) ** 2
    return 0.5 + 0.5 * np.trapezoid(density, x) / np.trapezoid(whole, far)


@pytest.mark.parametrize("degrees", range(1, len(T_QUANTILES) + 1))
def test_quantiles_are_those_of_student_s_distribution(degrees):
    assert t_probability(T_QUANTILES[degrees - 1], degrees) == pytest.approx(0.975, abs=3e-5)


def test_interval_is_the_mean_with_t_standard_errors():
    # sleep data of Student's own paper, differences of ten patients: mean 1.58, 95 % from 0.70 to 2.46
    low, high = interval([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert (round(low, 2), round(high, 2)) == (0.7, 2.46)
    assert interval([3.0]) is None


def test_differences_are_paired_by_seed(tmp_path):
    results = Results(tmp_path)
    finish(results, "glyphs", "fixed", 900, test=800)
    finish(results, "glyphs", "d+", 905, test=820)
    setting = summarize(results, ["glyphs", "fashion4k"])["settings"]["glyphs"]
    assert setting["arms"]["fixed"]["accuracy"]["16"]["by_seed"] == {"0": 80.0, "1": 80.1, "2": 80.2}
    difference = setting["arms"]["d+"]["difference"]["16"]
    assert difference["by_seed"] == {"0": 2.0, "1": 2.0, "2": 2.0}
    assert (difference["mean"], difference["low"], difference["high"]) == (2.0, 2.0, 2.0)


def test_the_reference_is_the_fixed_size_that_validation_images_prefer(tmp_path):
    results = Results(tmp_path)
    finish(results, "glyphs", "fixed", 900, test=990)
    finish(results, "glyphs", "fixed_d2", 910, test=800)
    finish(results, "glyphs", "d+", 990, test=995)
    summary = summarize(results, ["glyphs"])["settings"]["glyphs"]
    assert summary["reference"] == "fixed_d2"
    assert summary["arms"]["fixed"]["difference"]["16"]["mean"] == pytest.approx(19.0)


def test_a_setting_without_a_baseline_is_left_out(tmp_path):
    results = Results(tmp_path)
    finish(results, "glyphs", "d+", 900)
    assert summarize(results, ["glyphs"])["settings"] == {}


def test_tables_show_differences_with_intervals(tmp_path):
    results = Results(tmp_path / "runs")
    finish(results, "glyphs", "fixed", 900)
    finish(results, "glyphs", "d+", 920, seeds=(0,))
    finish(results, "glyphs", "b+", 890)
    summary = summarize(results, ["glyphs"])
    rows = {line.split("`")[1]: line for line in markdown(summary).splitlines() if line.startswith("| `")}
    assert rows["fixed"].endswith("| reference |  |")
    assert "| `d+` | 0.1 | 1 | 10 | 0.99 | 92.0 |" in rows["d+"] and rows["d+"].endswith("| +2.00 | +2.00 |")
    assert rows["b+"].endswith("| -1.00 [-1.00, -1.00] | -1.00 [-1.00, -1.00] |")
    write(summary, tmp_path)
    assert {path.name for path in tmp_path.glob("*.*")} == {"summary.json", "tables.md", "difference.png"}
    assert json.loads((tmp_path / "summary.json").read_text()) == summary


def test_every_figure_of_the_written_summary_is_in_its_run_s_file():
    with contextlib.suppress(FileNotFoundError):  # before anything is finished
        for setting, found in json.loads((EVIDENCE / "summary.json").read_text())["settings"].items():
            for name, arm in found["arms"].items():
                for size, accuracy in arm["accuracy"].items():
                    for seed, value in accuracy["by_seed"].items():
                        row = Results(EVIDENCE / "runs").read(Run(setting, name, arm["learning_rate"], int(seed)))
                        counts = row["test"][size]
                        assert value == pytest.approx(100 * counts["correct"] / counts["count"], abs=1e-4)


def test_settings_name_data_that_the_script_has_flags_for():
    assert {setting.source for setting in SETTINGS.values()} == {"fashion", "glyphs", "clipart"}
