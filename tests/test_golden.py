"""Files of the past: what version 0.1.0 wrote is read, made anew, or refused by name. `golden/make.py` made them."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from golden import make

import keras_mixsize as kms

GOLDEN = pathlib.Path(__file__).parent / "golden" / "v0_1_0"


def flipped(content):
    """Return the content with one bit flipped, in its middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


HARMS = {"empty": lambda content: b"", "cut": lambda content: content[: len(content) // 2], "flipped": flipped}
SOON = 10**9  # nanoseconds after the time that a cache knows

harmed = pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
cached = pytest.mark.parametrize("kind", make.OPENERS)


@pytest.fixture(scope="module")
def expected():
    """What version 0.1.0 got, by name."""
    with np.load(GOLDEN / "expected.npz") as data:
        return dict(data)


@pytest.fixture(scope="module")
def texts():
    """What version 0.1.0 wrote as text."""
    return json.loads((GOLDEN / "texts.json").read_text())


@pytest.fixture
def unpacked(tmp_path):
    """A function from the name of an archive to a copy of its files, of the time that the caches among them know."""
    return lambda name: unpack(name, tmp_path / name)


def unpack(name, folder):
    shutil.unpack_archive(GOLDEN / f"{name}.zip", folder)
    make.stamp(folder)
    return folder


def damage(path, harm):
    path.write_bytes(harm(path.read_bytes()))


# Models


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A copy of the saved model."""
    return shutil.copy(GOLDEN / "model.keras", tmp_path_factory.mktemp("model"))


def test_a_model_saved_by_0_1_0_predicts_the_same(saved_model, expected):
    model = keras.saving.load_model(saved_model)
    images, _ = make.examples()
    np.testing.assert_allclose(model.predict(images, verbose=0), expected["logits"], atol=1e-5)


def test_a_new_process_loads_models_of_0_1_0_once_it_has_imported_the_package(saved_model, unpacked):
    models = [str(saved_model), str(unpacked("run") / "model.keras")]
    program = (
        "import sys, keras, keras_mixsize; print(*(keras.saving.load_model(path).position for path in sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", program, *models], capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == [str(make.MODEL_STEPS), "7"], done.stderr[-3000:]


def test_a_model_saved_by_0_1_0_has_its_state_and_its_options(saved_model, expected):
    model = keras.saving.load_model(saved_model)
    np.testing.assert_array_equal(make.state_of(model), expected["model_state"])
    assert model.position == make.MODEL_STEPS == expected["smoothing_steps"] == model.smoothing_state.steps
    assert model.smoothing_state.norm == expected["smoothing_norm"]
    assert (model.smoothing, model.l2, model.l2_filter, model.max_skipped) == (0.8, 1e-3, "no_depthwise", 5)


def test_a_model_saved_by_0_1_0_trains_on_in_its_plan(saved_model, expected):
    model = keras.saving.load_model(saved_model)
    model.fit(make.train_data(), epochs=1, steps_per_epoch=1, verbose=0)
    np.testing.assert_allclose(make.state_of(model), expected["model_state_later"], atol=1e-5)


# Checkpoints


class BeforeTraining(keras.callbacks.Callback):
    """Ends a training before its first step."""

    def on_train_begin(self, logs=None):
        raise make.StopError


def test_a_checkpoint_of_0_1_0_goes_on_as_if_the_run_had_not_been_stopped(unpacked, expected):
    model = make.compiled()
    history = make.resume(model, unpacked("checkpoint")).history
    np.testing.assert_allclose(make.state_of(model), expected["resumed_state"], atol=1e-5)
    logs = {name.removeprefix("log_"): float(value) for name, value in expected.items() if name.startswith("log_")}
    assert {name: values[-1] for name, values in history.items()} == pytest.approx(logs, abs=1e-5)


@pytest.fixture(scope="module")
def untrained():
    """A model that is never trained, and its data."""
    return make.compiled(), make.train_data().for_step()


def test_a_checkpoint_of_0_1_0_is_refused_by_other_data(unpacked, untrained):
    with pytest.raises(ValueError, match="step-0000000007 is of another run: seed was 7 and is 8; give Resume a new"):
        make.resume(untrained[0], unpacked("checkpoint"), data=make.train_data(seed=8))


@harmed
@pytest.mark.parametrize("file", ["facts.json", "state.index", "state.data-00000-of-00001"])
def test_a_damaged_checkpoint_of_0_1_0_is_set_aside_with_a_warning(unpacked, untrained, file, harm):
    folder, (model, data) = unpacked("checkpoint"), untrained
    damage(folder / "step-0000000007" / file, harm)
    with pytest.warns(UserWarning, match=f"step-0000000007 is damaged .*{file}.*moved to damaged-step-0000000007"):
        make.resume(model, folder, BeforeTraining(), data=data)
    assert model.position == 0 and [path.name for path in folder.iterdir()] == ["damaged-step-0000000007"]


# Exports


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The export in memory."""
    return kms.serving.load(unpack("export", tmp_path_factory.mktemp("export")))


def test_an_export_of_0_1_0_answers_the_same_in_every_way(served, expected):
    answers = make.answers(served)
    assert len(answers) == len(make.SIZES) + 2
    for name, logits in answers.items():
        np.testing.assert_allclose(logits, expected[name], atol=1e-5, err_msg=name)


def test_an_export_of_0_1_0_knows_its_classes_sizes_and_accuracies(served, texts):
    report = kms.SizeReport.from_json(texts["report"])
    assert served.class_names == make.CLASSES and served.sizes == make.SIZES
    assert served.choose_size() == max(report.rows, key=lambda row: row.best.value).size
    assert [row["multiply_adds"] for row in served.manifest["sizes"]] == [row.multiply_adds for row in report.rows]


@pytest.mark.parametrize(
    "file, error, harm",
    [
        ("assets.extra/manifest.json", ValueError, "empty"),
        ("assets.extra/manifest.json", ValueError, "cut"),
        ("saved_model.pb", OSError, "cut"),
    ],
)
def test_a_damaged_export_of_0_1_0_is_refused_by_the_name_of_the_file(unpacked, file, error, harm):
    folder = unpacked("export")
    damage(folder / "1" / file, HARMS[harm])
    with pytest.raises(error, match=f"1/{file}.*(cannot be read|Cannot parse)|Cannot parse.*1/{file}"):
        kms.serving.load(folder)


# Sources, and the caches beside them


def times_of(folder):
    """Return the times of all files of a folder, by name."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@cached
def test_images_of_0_1_0_are_rendered_nearly_the_same(unpacked, expected, kind):
    rendered = make.rendered(make.OPENERS[kind](unpacked(kind)))
    # Version 0.1.0 interpolated along both axes where one shrinks by less than two
    assert np.abs(rendered.astype(int) - expected["rendered"]).mean() < 2


@cached
def test_a_cache_of_0_1_0_is_made_anew_once(unpacked, expected, kind):
    folder = unpacked(kind)
    before = times_of(folder)
    np.testing.assert_array_equal(make.OPENERS[kind](folder).labels, expected[f"{kind}_labels"])
    after = times_of(folder)
    assert before.items() < after.items() and len(after) == len(before) + 1
    make.OPENERS[kind](folder)
    assert times_of(folder) == after


@cached
def test_a_cache_of_0_1_0_is_made_anew_for_files_that_changed(unpacked, expected, kind):
    folder = unpacked(kind)
    for path in folder.rglob("[!.]*"):
        os.utime(path, ns=(make.TIME + SOON, make.TIME + SOON))
    np.testing.assert_array_equal(make.OPENERS[kind](folder).labels, expected[f"{kind}_labels"])
    assert max(times_of(folder).values()) > make.TIME + SOON


@harmed
def test_a_damaged_shard_of_0_1_0_is_refused_by_name(unpacked, harm):
    folder = unpacked("records")
    damage(folder / "data.tfrecord-00001-of-00002", harm)
    with pytest.raises(ValueError, match="data.tfrecord-00001-of-00002 (is damaged at record|has 0 records, but 2)"):
        make.open_records(folder)


# Conversion


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def test_the_images_of_0_1_0_are_converted_into_the_same_files(unpacked, tmp_path):
    make.convert(make.open_photos(unpacked("photos")), tmp_path / "new")
    assert bytes_of(tmp_path / "new") == bytes_of(unpacked("records"))


@harmed
def test_a_conversion_that_0_1_0_began_goes_on_from_its_whole_shards(unpacked, harm):
    folder = unpacked("records")
    whole = bytes_of(folder)
    damage(folder / "data.tfrecord-00001-of-00002", harm)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"complete": False}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="did not end; run it again to go on"):
        make.open_records(folder)
    make.convert(make.open_photos(unpacked("photos")), folder)
    assert bytes_of(folder) == whole and times_of(folder)["data.tfrecord-00000-of-00002"] == make.TIME


# Plans, regimes and reports


@pytest.mark.parametrize("sampling", make.PLANS)
def test_a_plan_draws_the_steps_of_0_1_0(texts, expected, sampling):
    plan = make.plan_of(sampling)
    assert plan.fingerprint() == texts["fingerprints"][sampling]
    for step in map(plan.at, make.PLANS[sampling]):
        *indices, bucket, first = expected[f"plan_{sampling}_{step.step}"].tolist()
        assert (step.indices.tolist(), step.bucket_index, step.first_sample) == (indices, bucket, first)


def test_a_dataset_gives_the_batches_of_0_1_0(expected):
    for number, (images, _) in enumerate(make.train_data().take(5)):
        np.testing.assert_allclose(images, expected[f"batch_{number}"], atol=1e-6)


def test_the_preset_regimes_are_those_of_0_1_0(texts):
    read = {name: kms.Regime.from_json(text) for name, text in texts["regimes"].items()}
    assert read == {name: kms.Regime.preset(name) for name in read} and len(read) >= 16


def test_a_report_of_0_1_0_is_read_and_written_the_same(texts):
    report = kms.SizeReport.from_json(texts["report"])
    assert [row.size for row in report.rows] == list(make.SIZES) and report.to_json() == texts["report"]


@pytest.mark.parametrize("text", ["", "null", "[]", '{"buckets"'])
def test_json_of_0_1_0_that_is_damaged_is_refused(text):
    for read, name in ((kms.Regime.from_json, "regime"), (kms.SizeReport.from_json, "report")):
        with pytest.raises(ValueError, match=f"{name} JSON cannot be read"):
            read(text)


# Runs


def test_a_run_of_0_1_0_is_evaluated_to_its_own_report(unpacked):
    folder = unpacked("run")
    saved = kms.SizeReport.from_json((folder / "report.json").read_text())
    model = keras.saving.load_model(folder / "model.keras")
    report = kms.evaluate_sizes(model, kms.sources.fashion_mnist("test"), make.SIZES, latency=False)
    for row, before in zip(report.rows, saved.rows, strict=True):
        assert row.loss == pytest.approx(before.loss, abs=1e-4) and row.multiply_adds == before.multiply_adds
        assert row.accuracy.value == pytest.approx(before.accuracy.value, abs=0.002)


def test_the_settings_of_a_run_of_0_1_0_give_its_recipe_and_its_plan(unpacked):
    results = json.loads((unpacked("run") / "results.json").read_text())
    config = results["config"]
    regime = kms.Regime.from_json(json.dumps(config["regime"]))
    recipe = kms.presets.Recipe.from_dict(config["recipe"])
    assert recipe.name == "embedded/resnet8/b+" and recipe.network_options == {"width": 2}
    assert kms.Plan(regime, config["limit"], config["seed"]).fingerprint() == results["plan_fingerprint"]
