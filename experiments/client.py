"""`mixsize client` as a script: asks a server of an export about an image.

python experiments/client.py --url=http://localhost:8080 --image=boot.jpg --sizes=16,24,32,cascade
"""

import sys

from keras_mixsize.cli import client, command

if __name__ == "__main__":
    sys.exit(command.run(client, sys.argv))
