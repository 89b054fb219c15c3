"""What a user installs: the wheel that is built from the source distribution, in a fresh environment."""

import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import venv

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DATA = """
import numpy as np, keras_mixsize as kms
train, test = kms.sources.fashion_mnist("train"), kms.sources.fashion_mnist("test")
(x_train, y_train), (x_test, y_test) = ((np.repeat(s.images[:96], 3, -1), s.labels[:96]) for s in (train, test))
"""


def run(*command, cwd):
    # PYTHONPATH may name a checkout
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source distribution, built from a copy of what a checkout holds."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (file,) = folder.glob("*.tar.gz")
    return file


@pytest.fixture(scope="module")
def installed(sdist, tmp_path_factory):
    """A fresh environment with the wheel of the source distribution; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("installed")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, sdist, cwd=folder)
    venv.create(folder / "env", with_pip=False, symlinks=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", folder / "env", "install", "--quiet", "--no-deps", wheel, cwd=folder)
    (site / "dependencies.pth").write_text(
        sysconfig.get_paths()["purelib"]
    )  # of it no .pth file is read, so no checkout
    return folder


def test_the_readmes_lines_run_from_the_wheel_of_the_source_distribution(installed):
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[:1]
    shorter = {
        "cifar_resnet(44": "cifar_resnet(8", "epochs=200": "epochs=1", "sizes=[16, 24, 32, 48]": "sizes=[16]",
        "{32: .3, 48: .2, 24: .3, 16: .2}": "{32: .5, 16: .5}",
    }  # fmt: skip
    for long, short in shorter.items():
        assert long in block
        block = block.replace(long, short)
    (installed / "lines.py").write_text(DATA + block + "\nprint(kms.__file__)")
    printed = run(installed / "env/bin/python", "lines.py", cwd=installed)
    assert pathlib.Path(printed.split()[-1]).is_relative_to(installed)
    assert (installed / "accuracy_by_size.png").exists() and (installed / "model.keras").exists()


def test_the_wheel_brings_the_command_types_and_data(installed):
    assert "64" in run(installed / "env/bin/mixsize", "plan", "cifar/d+", cwd=installed)
    (package,) = (installed / "env").glob("lib/python*/site-packages/keras_mixsize")
    files = ("py.typed", "serving/page.html", "sources/data/fashion_mnist.npz", "sources/data/fashion_mnist.LICENSE")
    assert [file for file in files if not (package / file).exists()] == []


def test_the_index_page_points_to_no_file_of_the_repository(installed):
    (metadata,) = (installed / "env").glob("lib/python*/site-packages/keras_mixsize-*.dist-info/METADATA")
    links = re.findall(r"\]\(([^)]+)\)", metadata.read_text())
    assert links and all(link.startswith("https://") for link in links)
