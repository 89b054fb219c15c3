"""A data set that cannot be downloaded says so at once, with the folder to put it in."""

import socket

import pytest

from keras_mixsize.cli import downloads
from keras_mixsize.cli.downloads import can_connect, check_available, tfds_names

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(downloads, "can_connect", lambda host: False)


def test_without_a_connection_the_folder_is_named_and_no_download_is_tried(tmp_path, offline, monkeypatch):
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: tried.append(address))
    with pytest.raises(
        OSError, match=rf"'cifar10' is not in {tmp_path}, and www.cs.toronto.edu, .* cannot be reached"
    ) as no:
        check_available("cifar10", str(tmp_path))
    assert f"{tmp_path}/cifar10/" in str(no.value) and "--data_dir" in str(no.value)
    assert tried == []


def test_files_that_are_there_are_left_to_tfds(tmp_path, offline):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/cifar-10-binary.tar.gz").write_bytes(b"data")
    check_available("cifar10", str(tmp_path))


def test_what_is_fetched_by_hand_is_left_to_tfds(tmp_path, offline):
    check_available("imagenet2012", str(tmp_path))


def test_with_a_connection_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "can_connect", lambda host: True)
    check_available("cifar10", str(tmp_path))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"no data set 'cifar11' in tensorflow-datasets; did you mean cifar1"):
        check_available("cifar11")
    assert {"mnist", "cifar10"} <= set(tfds_names())


def test_a_proxy_stands_for_the_host(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert can_connect("host.invalid")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert not can_connect("host.invalid")
