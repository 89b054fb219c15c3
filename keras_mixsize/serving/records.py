"""What becomes known of each request: metrics for Prometheus, and a line in the log where it is worth one.

Neighbours: `routes` and `grpc` (who keep a record). KServe's server shows the metrics at `/metrics`.

    with Record("v1") as record:
        record.at("received")
        record.is_answered("serve_bytes_24", prediction)
"""

from __future__ import annotations

import collections
import logging
import time

import numpy as np
from prometheus_client import Counter, Histogram

from keras_mixsize.serving.asking import CASCADE, Asked, Size
from keras_mixsize.serving.served_model import Prediction

_LOG = logging.getLogger(__name__)
_SLOW = 1.0  # seconds
_ASKED = ["protocol", "signature", "size"]
REQUESTS = Counter("mixsize_requests", "Requests that were answered.", _ASKED)
ERRORS = Counter(
    "mixsize_errors", "Requests that were refused or failed, by the status of HTTP.", ["protocol", "status"]
)
SECONDS = Histogram("mixsize_request_seconds", "From the first byte of a request to its answer.", _ASKED)
MODEL_SECONDS = Histogram("mixsize_model_seconds", "In the model.", _ASKED)
IMAGES = Counter("mixsize_images", "Images that were answered, by the size that answered.", ["signature", "size"])
CASCADED = Counter("mixsize_cascade_images", "Images that the cascade answered.")
SECOND_LOOKS = Counter("mixsize_cascade_second_looks", "Those of them that it looked at twice.")


class Record:
    """The times of one request.

    Args:
        protocol: `"v1"`, `"v2"` or `"grpc"`.
    """

    def __init__(self, protocol: str):
        self._protocol = protocol
        self._start = self._last = time.perf_counter()
        self._parts: dict[str, float] = {}
        self.body = 0  # bytes

    def at(self, part: str) -> None:
        """Note that a part of the work has ended."""
        now = time.perf_counter()
        self._parts[part] = now - self._last
        self._last = now

    def is_answered(self, asked: Asked, size: Size, prediction: Prediction, small: int | None) -> None:
        """Count an answer.

        Args:
            asked: the request.
            size: asked for.
            prediction: the answer.
            small: the cascade's first size, if there is one.
        """
        signature = _signature(asked, size)
        labels = (self._protocol, signature, "nearest" if size is None else str(size))
        total = time.perf_counter() - self._start
        REQUESTS.labels(*labels).inc()
        SECONDS.labels(*labels).observe(total)
        MODEL_SECONDS.labels(*labels).observe(self._parts.get("model", 0.0))
        for used, count in collections.Counter(prediction.sizes.tolist()).items():
            IMAGES.labels(signature, used).inc(count)
        if size == CASCADE:
            CASCADED.inc(len(prediction.sizes))
            SECOND_LOOKS.inc(int(np.sum(prediction.sizes != small)))
        if total > _SLOW:
            _LOG.warning("slow: %s", self._in_words(labels, len(prediction.sizes), total))
        elif _LOG.isEnabledFor(logging.DEBUG):
            _LOG.debug("answered: %s", self._in_words(labels, len(prediction.sizes), total))

    def _in_words(self, labels: tuple, images: int, total: float) -> str:
        protocol, signature, size = labels
        parts = ", ".join(f"{name} {1000 * seconds:.0f}" for name, seconds in self._parts.items())
        asked = f"{protocol} {signature} size {size}, {images} images, {self.body} bytes"
        return f"{asked}: {1000 * total:.0f} ms ({parts})"

    def is_refused(self, status: int, text: str) -> None:
        """Count a refusal, and say it in a line."""
        ERRORS.labels(self._protocol, status).inc()
        _LOG.info("refused: %s %s, %s bytes: %s", self._protocol, status, self.body, " ".join(text.split()))

    def has_failed(self) -> None:
        """Count a fault of the server, and log it whole."""
        ERRORS.labels(self._protocol, 500).inc()
        _LOG.exception("failed: %s, %s bytes", self._protocol, self.body)

    def server_timing(self) -> str:
        """Return the header that says how long the model took."""
        return f"model;dur={1000 * self._parts.get('model', 0.0):.3f}"


def _signature(asked: Asked, size: Size) -> str:
    """Return the signature that answered: a name of the export's, never the client's text."""
    if isinstance(asked.images, list):
        return "serve_cascade_bytes" if size == CASCADE else "serve_bytes" if size is None else f"serve_bytes_{size}"
    name = "serving_default" if size is None else f"serve_{size}"
    return name + ("_uint8" if asked.images.dtype == np.uint8 else "")
