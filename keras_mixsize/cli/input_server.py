"""make batches for training processes here or elsewhere, by a tf.data service

    mixsize input-server --address=localhost:5000
    mixsize input-server --address=localhost:5001

The training program then uses
`keras_mixsize.service.from_service(train, ["localhost:5000", "localhost:5001"])`.
The service has no password: use it in a network that you trust.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from keras_mixsize.cli.progress import doing

FLAGS = flags.FlagValues()
ADDRESS = flags.DEFINE_string(
    "address", "localhost:5000", "host:port, as the training processes name it.", flag_values=FLAGS
)


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal ends the process."""
    if arguments:
        raise ValueError(f"an input server takes no arguments but --address=host:port, got {arguments[0]!r}")
    with doing("loading TensorFlow"):
        from keras_mixsize.input import service

    server = service.start_server(ADDRESS.value)
    print(f"{ADDRESS.value} is running", flush=True)
    server.join()
