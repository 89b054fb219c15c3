"""The version of an export that is served, and how a newer one takes its place while requests go on.

Each request is answered by the version that was there when its turn came; the old one goes when the last of them is
done. Neighbours: `served_model`, `routes`.

    versions = Versions("exported")
    asked_version = versions.current                            # its number and its model
    await versions.watch(seconds=2)
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pathlib
import re
from typing import NamedTuple

from keras_mixsize.serving.asking import Size
from keras_mixsize.serving.served_model import Prediction, ServedModel, load, version_folder

_LOG = logging.getLogger(__name__)
_VERSION_IN_PATH = re.compile(r"(/v[12]/models/[^/:]+)/versions/([^/:]+)(.*)")


class Version(NamedTuple):
    """A version in memory."""

    name: str
    served: ServedModel

    def answer(self, images, size: Size) -> Prediction:
        """Return the prediction at a size, at the nearest one (None) or by the cascade ("cascade")."""
        return self.served.predict_cascade(images) if size == "cascade" else self.served.predict(images, size=size)


class Versions:
    """The highest version in a folder, or the one whose folder is given.

    Args:
        path: of the export.

    Raises:
        FileNotFoundError, ValueError: what `load` raises.
    """

    def __init__(self, path: str | os.PathLike):
        self._path = pathlib.Path(path)
        self._failed: set[pathlib.Path] = set()
        self.current = _loaded(version_folder(self._path))

    async def watch(self, seconds: float) -> None:
        """Look for a newer version every so many seconds, for ever; one that cannot be loaded is said and left out."""
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._take_newest)

    def _take_newest(self) -> None:
        try:
            folder = version_folder(self._path)
        except OSError:  # the folder is gone; what is in memory still answers
            return
        if folder.name == self.current.name or folder in self._failed:
            return
        try:
            version = _loaded(folder)
        except Exception as error:
            self._failed.add(folder)
            _LOG.warning("version %s cannot be loaded, %s goes on: %s", folder.name, self.current.name, error)
            return
        self.current = version
        _LOG.info("version %s is served now", version.name)


def _loaded(folder: pathlib.Path) -> Version:
    served = load(folder)
    served.warm_up()
    return Version(folder.resolve().name, served)


class VersionPaths:
    """Middleware that takes `/versions/N` out of a path, and answers 404 unless N is the one that is served.

    Args:
        application: of ASGI.
        versions: as above.
    """

    def __init__(self, application, versions: Versions):
        self._application, self._versions = application, versions

    async def __call__(self, scope, receive, send):
        """Hand a request on, or refuse it."""
        found = _VERSION_IN_PATH.fullmatch(scope.get("path", ""))
        if scope["type"] != "http" or found is None:
            return await self._application(scope, receive, send)
        current = self._versions.current.name
        if found[2] != current:
            return await _send_missing(send, current)
        path = found[1] + found[3]
        return await self._application(scope | {"path": path, "raw_path": path.encode()}, receive, send)


async def _send_missing(send, current: str) -> None:
    body = json.dumps({"error": f"this version is not served; version {current} is"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
