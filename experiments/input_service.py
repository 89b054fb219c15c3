"""Runs a server of a tf.data service, which makes batches for training processes here or on other machines.

    python experiments/input_service.py --address=localhost:5000
    python experiments/input_service.py --address=localhost:5001

The training program then uses `keras_mixsize.service.from_service(train, ["localhost:5000", "localhost:5001"])`.
"""

from absl import app, flags

from keras_mixsize.input import service

ADDRESS = flags.DEFINE_string("address", "localhost:5000", "host:port, as the training processes name it.")


def main(_):
    server = service.start_server(ADDRESS.value)
    print(f"{ADDRESS.value} is running", flush=True)
    server.join()


if __name__ == "__main__":
    app.run(main)
