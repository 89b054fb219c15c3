"""The model card of an export."""

import dataclasses

from manifests import CONTENTS, MULTIPLY_ADDS

from keras_mixsize.export import Preprocessing
from keras_mixsize.export.card import model_card
from keras_mixsize.export.manifest import make_manifest


def card(**changes):
    return model_card(make_manifest(dataclasses.replace(CONTENTS, **changes), MULTIPLY_ADDS, {}))


def test_the_card_says_what_the_manifest_holds():
    text = card()
    assert text.startswith("# net\n\nAn image classifier of 2 classes for 1 image sizes, exported 20")
    assert "| 32 | 90.0% [85.0, 95.0] | 5.00 | 0.250 | `serve_32` |" in text
    assert "calibrated with 20 training batches" in text
    assert "looks at 16 px, and again at 32 px where no class is as likely as 0.750" in text
    assert "25.0% of the images looked at again, 50% of the work of 32 px for all." in text
    assert (
        "at most 8 at a time, of at most 1000 pixels each. In the graph, the whole image is resized (bilinear" in text
    )


def test_a_window_is_described():
    assert "the central square of 0.875 of the shorter side is resized" in card(preprocessing=Preprocessing(7 / 8))


def test_what_is_not_there_is_not_in_the_card():
    text = card(cascade=None, report=None, calibration_batches=None)
    assert "Cascade" not in text and "the model's own" in text
