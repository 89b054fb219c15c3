"""`mixsize evaluate` as a script: tests finished runs at other sizes.

python experiments/evaluate.py --runs=runs/demo/baseline,runs/demo/b+ --sizes=8,10,12,14,16 --output=runs/compare
"""

import sys

from keras_mixsize.cli import command, evaluate

if __name__ == "__main__":
    sys.exit(command.run(evaluate, sys.argv))
