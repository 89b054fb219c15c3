"""The scripts of the paper and the demo write what they promise."""

import gzip
import json
import shutil

import numpy as np
import pytest
from scripts import ROOT, call_script, run_script


def test_train_runs_as_a_script():
    listed = run_script("train.py", "--list").stdout
    assert "cifar10/resnet44/d+" in listed and "mixsize train --list --recipe=NAME" in listed


def test_the_demo_runs_and_says_in_words_what_came_out(tmp_path):
    done = call_script("demo.py", "--smoke", f"--output={tmp_path}")
    facts = json.loads((tmp_path / "demo.json").read_text())
    assert done.returncode == 0 and [report["name"] for report in facts["reports"]] == ["baseline, 32 px", "B+", "D+"]
    assert "fewer steps than the baseline" in facts["words"][0] and facts["words"]
    assert (tmp_path / "accuracy_by_size.png").exists()
    assert len((tmp_path / "accuracy_by_size.csv").read_text().splitlines()) == 1 + 3 * 2


def test_the_demos_three_runs_cost_about_the_same():
    from demo import configs

    costs = [
        config.recipe.epochs * config.regime.steps_per_epoch(config.limit) * config.regime.mean_cost
        for config in configs("runs/demo", epochs=9)
    ]
    assert max(costs) / min(costs) < 1.06


def test_the_demos_recipe_is_chosen_on_images_that_are_not_tested_on(tmp_path, monkeypatch):
    import choose_demo_recipe

    seen = []

    class Row:
        size, best = 16, type("Best", (), {"value": 0.5})

    def validate(config, source, validation):
        seen.append((config.recipe.schedule.learning_rate, config.recipe.padding, validation.num_examples))
        return type("Report", (), {"rows": [Row]})

    for prefix, count in (("train", 3200), ("t10k", 20)):
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16 + count * 784)))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8 + count)))
    monkeypatch.setattr(choose_demo_recipe, "validate", validate)
    options = ["--rates=0.1,0.2", "--paddings=2", "--choose_modes=d+", f"--output={tmp_path / 'recipe.json'}"]
    assert call_script("choose_demo_recipe.py", f"--data_dir={tmp_path}", *options).returncode == 0
    assert seen == [(0.1, 2, 3000), (0.2, 2, 3000)]
    assert len(json.loads((tmp_path / "recipe.json").read_text())["rows"]) == 2


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


def test_the_paper_table_shows_every_row_with_the_published_sizes():
    lines = call_script("paper_table.py").stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][2:]
    assert len(rows) == 7
    sizes = {row[0]: (float(row[2]), float(row[3].replace(",", ""))) for row in rows if row[1] != "cifar100"}
    published = {"resnet44": (0.66, 97), "wrn28_10": (36.5, 5200), "resnet50": (25.56, 4100)}  # millions
    for network, expected in published.items():
        assert sizes[network] == pytest.approx(expected, rel=0.02)
    assert rows[0][4] == "156 / 109 / 156" and rows[0][5].startswith("156 / ")
