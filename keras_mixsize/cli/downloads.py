"""Whether a data set of tensorflow-datasets is here, or can be fetched, before its retries take minutes.

Neighbours: `data` (asks first), `sources.tfds` (reads and downloads).

    check_available("cifar10", data_dir=None)       # OSError within seconds, if neither
"""

from __future__ import annotations

import functools
import pathlib
import socket
import urllib.parse
import urllib.request

from keras_mixsize.cli.command import nearest

HOST = "storage.googleapis.com"  # tfds looks for prepared copies there
SECONDS = 3.0


@functools.cache
def tfds_names() -> tuple[str, ...]:
    """Return every data set that tensorflow-datasets itself knows; needs no network."""
    import tensorflow_datasets as tfds  # here, because it is not needed for folders with a path

    return tuple(tfds.list_builders(with_community_datasets=False))


def check_available(name: str, data_dir: str | None = None) -> None:
    """Raise an error if a data set is neither prepared nor can be downloaded.

    Args:
        name: of tensorflow-datasets.
        data_dir: where tfds keeps its data.

    Raises:
        ValueError: an unknown name, with the nearest one.
        OSError: it is not there and there is no connection; says the folder to put it in.
    """
    import tensorflow_datasets as tfds

    first = name.split("/")[0].split(":")[0]
    if first not in tfds_names():
        raise ValueError(f"no data set {first!r} in tensorflow-datasets{nearest(first, tfds_names())}")
    builder = tfds.builder(name, data_dir=data_dir)
    place = pathlib.Path(builder.data_dir_root)
    if builder.is_prepared() or builder.MANUAL_DOWNLOAD_INSTRUCTIONS or _has_files(place / "downloads"):
        return  # what is missing by hand, `sources.tfds` says at once
    hosts = dict.fromkeys([*(urllib.parse.urlsplit(url).hostname for url in builder.url_infos), HOST])
    if not any(can_connect(host) for host in hosts if host):
        raise OSError(
            f"data set {name!r} is not in {place}, and {', '.join(filter(None, hosts))} cannot be reached to download "
            f"it; put a prepared copy into {builder.data_dir}, or name the place where there is one with --data_dir"
        )


def can_connect(host: str) -> bool:
    """Return whether a download from a host has a chance: it, or the proxy in front of it, answers within seconds."""
    proxy = urllib.parse.urlsplit(urllib.request.getproxies().get("https", ""))
    address = (proxy.hostname, proxy.port or 80) if proxy.hostname else (host, 443)
    try:
        with socket.create_connection(address, SECONDS):
            return True
    except OSError:
        return False


def _has_files(downloads: pathlib.Path) -> bool:
    """Return whether files to prepare the data set from are there: downloaded ones, or put there by hand."""
    return downloads.is_dir() and any(path.is_file() for path in downloads.rglob("*"))
