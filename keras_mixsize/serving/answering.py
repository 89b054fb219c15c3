"""From what is asked to an answer, in threads, by the version that is served at that moment.

Neighbours: `routes` and `grpc` (who call it), `versions`, `records`.

    answering = Answering(Versions("exported"), threads)
    response = await answering.answer(lambda: read(body), record, write)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import numpy as np

from keras_mixsize.serving.asking import CASCADE, OUTPUTS, Asked, Refused
from keras_mixsize.serving.records import Record
from keras_mixsize.serving.served_model import Prediction
from keras_mixsize.serving.versions import Versions

_Response = TypeVar("_Response")


class Answering:
    """Answers requests.

    Args:
        versions: the export.
        threads: in which the model runs.

    Attributes:
        is_ending: whether connections should be closed after their answers.
    """

    def __init__(self, versions: Versions, threads: Executor):
        self.versions, self.is_ending = versions, False
        self._threads = threads

    async def answer(
        self,
        ask: Callable[[], Asked],
        record: Record,
        write: Callable[[Asked, dict[str, np.ndarray], str], _Response],
    ) -> _Response:
        """Return the answer; all three steps run in one thread, because each change of threads has to wait.

        Args:
            ask: returns what the request asks for.
            record: gets the times.
            write: function of (what is asked, outputs by name, the version's name) that makes the answer.

        Raises:
            Refused: the request cannot be read, or the model refuses it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, ask, record, write)

    def _answer(self, ask: Callable[[], Asked], record: Record, write: Callable) -> _Response:
        record.at("queued")
        asked = ask()
        record.at("read")
        version = self.versions.current
        manifest = version.served.manifest
        size = asked.chosen_size(list(version.served.signatures))
        if isinstance(size, str) and size != CASCADE:
            raise Refused(f"size must be one of {version.served.sizes} or {CASCADE}")
        try:
            prediction = version.answer(asked.images, size)
        except ValueError as error:
            raise Refused(str(error)) from None
        record.at("model")
        response = write(asked, columns(prediction), version.name)
        record.at("written")
        record.is_answered(asked, size, prediction, manifest["cascade"] and manifest["cascade"]["small"])
        return response


def columns(prediction: Prediction) -> dict[str, np.ndarray]:
    """Return the outputs by the names that the signatures give them, each with a row per image."""
    values = (prediction.probabilities, prediction.logits, prediction.labels, prediction.names)
    return dict(zip(OUTPUTS, (*values, prediction.confidences, prediction.sizes), strict=True))
