"""Trains a recipe and reports the network's accuracy at several sizes: `mixsize train` as a script.

    python experiments/train.py --smoke
    python experiments/train.py --recipe=cifar10/resnet44/b+ --output=runs/cifar10_resnet44_b+
    python experiments/train.py --recipe=imagenet2012/resnet50/d+ --data_dir=DIR --precision=mixed_bfloat16
    python experiments/train.py --recipe=cifar10/resnet44/d+ --dataset=PATH --epochs=90
    python experiments/train.py --recipe=cifar10/resnet44/b+ --output=runs/long --resume       # again after a stop
    python experiments/train.py --list

A recipe is data set, network and mode; `--list` prints them all, and each other flag changes one of its settings.
ImageNet must be fetched by hand: make an account on image-net.org, put ILSVRC2012_img_train.tar and
ILSVRC2012_img_val.tar into DIR/downloads/manual, and tensorflow-datasets prepares them on the first start (some
hours, 300 GB). PATH holds a folder per class, or train/ and test/ with such folders in them.

Writes run.json (settings), results.json (with versions, plan fingerprint, history, report), report.csv, report.png,
model.keras, log.csv and TensorBoard logs into the output folder.
"""

import sys

from keras_mixsize.cli import command, train

if __name__ == "__main__":
    sys.exit(command.run(train, sys.argv))
