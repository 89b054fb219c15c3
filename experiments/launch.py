"""`mixsize launch` as a script: starts the workers of a multi-worker training.

python experiments/launch.py --workers=2 -- mixsize train --strategy=multi_worker --resume
"""

import sys

from keras_mixsize.cli import command, launch

if __name__ == "__main__":
    sys.exit(command.run(launch, sys.argv))
