"""Packaging of keras_mixsize; the dependencies stand in requirements.txt."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
REQUIREMENTS = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
VERSION = (ROOT / "keras_mixsize/__init__.py").read_text().split('__version__ = "')[1].split('"')[0]


def index_page() -> str:
    """Return the README for an index, which shows no file of the repository: no pictures, and links as plain words."""
    text = re.sub(
        r"^!\[.*?\]\((?!https?:).*?\)\n+(\*.*?\*\n)?", "", (ROOT / "README.md").read_text(), flags=re.M | re.S
    )
    return re.sub(r"\[([^]]+)\]\((?!https?:)([^)#]+)[^)]*\)", r"\1 (`\2` in the source)", text)


if __name__ == "__main__":
    setup(
        name="keras_mixsize",
        version=VERSION,
        description="MixSize training of convolutional networks at mixed image sizes, for TensorFlow and Keras",
        long_description=index_page(),
        long_description_content_type="text/markdown",
        license="Apache-2.0",
        python_requires=">=3.11",
        packages=find_packages(include=["keras_mixsize", "keras_mixsize.*"]),
        package_data={
            "keras_mixsize": ["py.typed"],
            "keras_mixsize.cli": ["*.html"],
            "keras_mixsize.models": ["data/*/*"],
            "keras_mixsize.sources": ["data/*"],
            "keras_mixsize.serving": ["*.html"],
        },
        entry_points={"console_scripts": ["mixsize = keras_mixsize.cli.main:main"]},
        install_requires=REQUIREMENTS,
        extras_require={
            "dev": [
                "build>=1.3",
                "hypothesis>=6.150",
                "jinja2>=3.1",
                "mypy>=2",
                "pytest>=9",
                "pytest-xdist>=3.8",
                "ruff>=0.15",
            ],
            "docs": ["mkdocs-jupyter==0.26.3", "mkdocs-material>=9.7", "mkdocstrings[python]>=1"],
            "report": ["jinja2>=3.1"],
            "search": ["optuna>=5"],
            "serving": ["kserve>=0.21"],
            "tensorboard": ["tensorboard>=2.20"],
        },
        classifiers=[
            "Development Status :: 4 - Beta",
            "Intended Audience :: Science/Research",
            "Programming Language :: Python :: 3",
            "Topic :: Scientific/Engineering :: Image Recognition",
            "Typing :: Typed",
        ],
    )
