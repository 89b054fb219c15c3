"""One export and one server of it for all tests that only ask."""

import socket

import pytest
from networks import tiny_network
from server import running

import keras_mixsize as kms


@pytest.fixture(scope="session")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported")
    kms.export_saved_model(tiny_network(), path, [8, 12])
    return path


@pytest.fixture(scope="session")
def grpc_address():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="session")
def url(path, grpc_address):
    """The address of a running server."""
    with running(path, f"--grpc_port={grpc_address.split(':')[1]}") as (url, _):
        yield url
