"""`mixsize serve` as a script: serves an export over HTTP, in an environment that has kserve.

.venv-serving/bin/python experiments/serve.py --model_dir=exported --port=8080
"""

import sys

from keras_mixsize.cli import command, serve

if __name__ == "__main__":
    sys.exit(command.run(serve, sys.argv))
