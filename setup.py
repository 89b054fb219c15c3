"""Packaging of keras_mixsize; the dependencies stand in requirements.txt."""

import pathlib

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
REQUIREMENTS = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
VERSION = (ROOT / "keras_mixsize/__init__.py").read_text().split('__version__ = "')[1].split('"')[0]

setup(
    name="keras_mixsize",
    version=VERSION,
    description="MixSize training of convolutional networks at mixed image sizes, for TensorFlow and Keras",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["keras_mixsize", "keras_mixsize.*"]),
    package_data={"keras_mixsize.sources": ["data/*"]},
    install_requires=REQUIREMENTS,
    extras_require={
        "dev": ["pytest>=9", "hypothesis>=6.150", "pytest-xdist>=3.8", "ruff>=0.15"],
        "tensorboard": ["tensorboard>=2.20"],
    },
)
