"""`mixsize convert` as a script: writes a data set as TFRecord shards.

python experiments/convert.py --dataset=folder:photos/train --output=shards/train --max_side=500 --quality=90
"""

import sys

from keras_mixsize.cli import command, convert

if __name__ == "__main__":
    sys.exit(command.run(convert, sys.argv))
