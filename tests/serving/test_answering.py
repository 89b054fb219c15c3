"""An array is answered as the export answers it."""

import numpy as np
import pytest
from server import needs_server, v1

import keras_mixsize as kms

pytestmark = [pytest.mark.slow, needs_server]


def test_the_array_of_a_signature_is_answered_as_the_export_answers_it(url, path):
    pixels = np.random.default_rng(0).integers(2, 256, [2, 9, 7, 1]).astype("uint8")
    served = kms.serving.load(path)
    for images, name in ((pixels, "serve_8_uint8"), ((pixels / 255).astype("float32"), "serve_8")):
        status, answer = v1(url, {"signature_name": name, "inputs": {"images": images.tolist()}})
        assert status == 200
        np.testing.assert_allclose(answer["outputs"]["logits"], served.predict(images, size=8).logits, atol=1e-5)
