"""serve an export over HTTP, with a web page to try it

    mixsize serve exported --port=8080
    curl -d '{"size": 24, "instances": [{"b64": "'$(base64 -w0 boot.jpg)'"}]}' \\
        localhost:8080/v1/models/mixsize:predict

It listens on this machine only. A browser gets the page at `/`, with sample images from the folder
`samples` beside the export's versions. V1, TensorFlow Serving's form, takes `instances` or `inputs`:
encoded files as {"b64": ...}, or arrays; and `size`, a number or "cascade", or `signature_name`.
V2, KServe's, takes one input, `images` or `image_bytes`, and the parameter `size`, by HTTP and gRPC.
A file alone works, too: curl --data-binary @boot.jpg '...:predict?size=24'. What cannot be answered
gets 400 and the remedy. `/metrics` is for Prometheus. A newer version in the folder takes over by
itself. It needs kserve, in an environment of its own.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from absl import flags

from keras_mixsize.cli.progress import doing

FLAGS = flags.FlagValues()
MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "What `mixsize export` wrote; may stand without the flag.", flag_values=FLAGS
)
HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen at.", flag_values=FLAGS)
PORT = flags.DEFINE_integer("port", 8080, "Port to listen at; 0 for any that is free.", 0, 65_535, flag_values=FLAGS)
GRPC_PORT = flags.DEFINE_integer("grpc_port", None, "Port of gRPC; none unless given.", 1, 65_535, flag_values=FLAGS)
MAX_BODY = flags.DEFINE_integer("max_body_mb", 64, "Largest body of a request, in MiB.", 1, flag_values=FLAGS)
MAX_WAITING = flags.DEFINE_integer(
    "max_waiting", 128, "Requests that may wait; those beyond get 503.", 1, flag_values=FLAGS
)
LOG_LEVEL = flags.DEFINE_enum(
    "log_level",
    "INFO",
    ["DEBUG", "INFO", "WARNING"],
    "Lines for all requests, for refused and slow ones, or slow ones.",
    flag_values=FLAGS,
)
INSTALL = """kserve is not installed here, and needs other versions of packages than training does:
  python -m venv serving
  serving/bin/pip install 'kserve>=0.21' 'tensorflow-cpu>=2.21'
  serving/bin/pip install --no-deps keras_mixsize
  serving/bin/mixsize serve"""


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal ends the process."""
    folders = [*arguments, *([MODEL_DIR.value] if MODEL_DIR.value else [])]
    if len(folders) != 1:
        raise ValueError(f"name one folder, that `mixsize export` wrote, as in `mixsize serve exported`; got {folders}")
    if importlib.util.find_spec("kserve") is None:
        raise ValueError(f"{INSTALL} {folders[0]}")
    with doing("loading TensorFlow and KServe"):
        from keras_mixsize.serving.bodies import Limits
        from keras_mixsize.serving.server import Options, serve

    limits = Limits(body=MAX_BODY.value << 20, waiting=MAX_WAITING.value)
    options = Options(HOST.value, PORT.value, GRPC_PORT.value, limits, LOG_LEVEL.value)
    serve(folders[0], options, progress=_say)


def _say(text: str) -> None:
    print(text, flush=True)
