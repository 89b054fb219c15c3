"""`mixsize export` as a script: writes a finished run as one SavedModel for several sizes.

python experiments/export.py --run=runs/demo/b+ --sizes=8,12,16,24 --output=exported
"""

import sys

from keras_mixsize.cli import command, export

if __name__ == "__main__":
    sys.exit(command.run(export, sys.argv))
