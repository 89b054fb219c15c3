"""The scripts of the paper and the demo write what they promise."""

import gzip
import json
import pathlib
import shutil

import numpy as np
import pytest
from scripts import ROOT, call_script, run_script

import keras_mixsize as kms
from keras_mixsize.recipes.budget import pixels


def test_train_runs_as_a_script():
    listed = run_script("train.py", "--list").stdout
    assert "cifar10/resnet44/d+" in listed and "mixsize train --list --recipe=NAME" in listed


@pytest.mark.slow
def test_the_demo_trains_both_networks(tmp_path):
    assert call_script("demo.py", "--smoke", f"--output={tmp_path}").returncode == 0
    facts = json.loads((tmp_path / "demo.json").read_text())
    assert [report["name"] for report in facts["reports"]] == ["trained at 16 px only", "MixSize, B+"]
    assert all((tmp_path / mode / "model.keras").exists() for mode in ("baseline", "b+"))


def test_the_demo_says_in_words_what_its_runs_gave(tmp_path, monkeypatch):
    facts = json.loads((ROOT / "docs/demo/demo.json").read_text())
    reports = {report["name"]: kms.SizeReport.from_json(json.dumps(report)) for report in facts["reports"]}

    def run(config):
        pathlib.Path(config.output).mkdir(parents=True)
        reports[config.name].to_csv(f"{config.output}/report.csv")
        return reports[config.name]

    monkeypatch.setattr("keras_mixsize.cli.run.run", run)
    done = call_script("demo.py", f"--output={tmp_path}")
    found = json.loads((tmp_path / "demo.json").read_text())
    assert found["words"] == facts["words"] and found["reports"] == facts["reports"]
    assert all(line in " ".join(done.stdout.split()) for line in facts["words"])
    assert (tmp_path / "accuracy_by_size.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "accuracy_by_size.csv").read_text().splitlines()) == 1 + 2 * 5


def test_the_demos_runs_cost_about_the_same():
    from demo import configs

    costs = [pixels(config.regime, config.limit, config.recipe.epochs) for config in configs("runs/demo")]
    assert max(costs) / min(costs) < 1.01


def test_finished_runs_are_collected_into_the_papers_table(tmp_path):
    shutil.copytree(ROOT / "docs/runs/clipart_resnet14_b+", tmp_path / "runs/other")
    done = call_script("collect_results.py", f"--runs={tmp_path}", f"--output={tmp_path / 'table/accuracy.json'}")
    facts = json.loads((tmp_path / "table/accuracy.json").read_text())
    assert done.returncode == 0 and facts["runs"][0]["recipe"] == "clipart/resnet14/b+"
    assert facts["runs"][0]["base_size"] == 32 and "| resnet14 | clipart | ours |" in facts["table"]
    assert list((tmp_path / "table").glob("clipart_resnet14.png"))


def test_without_finished_runs_the_table_says_what_it_looked_for(tmp_path):
    done = call_script("collect_results.py", f"--runs={tmp_path}")
    assert done.returncode == 2 and "no results.json below" in done.stderr


def test_the_embedded_data_are_made_from_the_packages_files(tmp_path):
    rng = np.random.default_rng(0)
    for prefix in ("train", "t10k"):
        images = rng.integers(0, 256, (20, 28, 28)).astype(np.uint8)
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes()))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes([1, 0] * 10)))
    run_script("make_fashion_mnist.py", f"--source={tmp_path}", f"--target={tmp_path / 'subset.npz'}")
    with np.load(tmp_path / "subset.npz") as subset:
        np.testing.assert_array_equal(subset["test_images"], images)


def test_the_paper_table_shows_every_row_with_the_published_steps(monkeypatch):
    import paper_table

    monkeypatch.setattr(paper_table, "network_sizes", lambda row: (row.network, str(row.classes)))
    lines = call_script("paper_table.py").stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][2:]
    assert [row[0] for row in rows] == [row[2] for row in rows] and len(rows) == 7
    assert rows[0][4] == "156 / 109 / 156" and rows[0][5].startswith("156 / ")


def test_the_paper_table_shows_the_published_sizes_of_a_network():
    from paper_table import network_sizes

    millions, multiply_adds = network_sizes(kms.presets.PAPER[0])
    assert float(millions) == pytest.approx(0.66, rel=0.02) and float(multiply_adds) == pytest.approx(97, rel=0.02)
