"""`mixsize input-server`: what it refuses; tests/input/test_service.py takes batches from it."""

import pytest

from keras_mixsize.cli import command, input_server


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["localhost:5000"], "takes no arguments but --address=host:port, got 'localhost:5000'"),
        (["--address=5000"], "address must be host:port, got '5000'"),
        (["--address=localhost:http"], "address must be host:port"),
        (["--adress=localhost:5000"], "did you mean --address?"),
    ],
)
def test_what_names_no_address_is_refused(arguments, message, capsys):
    assert command.run(input_server, ["mixsize input-server", *arguments]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
