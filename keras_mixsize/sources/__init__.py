"""Sources: where examples come from, addressed by index.

`source` is what all have in common; `arrays`, `folders`, `shards`, `array_records`, `tfds`, `sequences`, `fashion` and
`glyphs` are the kinds; `items` are what `sequences` reads, `classes` takes some of a source; `listing` and `tfrecords`
know which files there are, `damage` what becomes of images that cannot be used, `conversion` writes any source as
shards. The room `input` turns a source and a plan into batches.

    source = fashion_mnist("train")
    source.num_examples, source.num_classes, source.channels
"""

from keras_mixsize.sources.array_records import ArrayRecordSource
from keras_mixsize.sources.arrays import ArraySource
from keras_mixsize.sources.classes import of_classes
from keras_mixsize.sources.conversion import convert
from keras_mixsize.sources.damage import Damaged, DamagePolicy
from keras_mixsize.sources.encoded import BytesSource, EncodedSource, FileSource, RecordSource
from keras_mixsize.sources.fashion import fashion_mnist, read_idx
from keras_mixsize.sources.folders import folder
from keras_mixsize.sources.glyphs import glyphs
from keras_mixsize.sources.sequences import SequenceSource, sequence
from keras_mixsize.sources.shards import records
from keras_mixsize.sources.source import Source, check_label_range, check_labels
from keras_mixsize.sources.splits import split
from keras_mixsize.sources.tfds import tfds_source

__all__ = [
    "ArrayRecordSource",
    "ArraySource",
    "BytesSource",
    "DamagePolicy",
    "Damaged",
    "EncodedSource",
    "FileSource",
    "RecordSource",
    "SequenceSource",
    "Source",
    "check_label_range",
    "check_labels",
    "convert",
    "fashion_mnist",
    "folder",
    "glyphs",
    "of_classes",
    "read_idx",
    "records",
    "sequence",
    "split",
    "tfds_source",
]
