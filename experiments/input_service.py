"""`mixsize input-server` as a script: makes batches for training processes.

python experiments/input_service.py --address=localhost:5000
"""

import sys

from keras_mixsize.cli import command, input_server

if __name__ == "__main__":
    sys.exit(command.run(input_server, sys.argv))
