"""A small data set of tensorflow-datasets, prepared by tests in TFRecord or ArrayRecord files."""

import tensorflow_datasets as tfds
from pictures import gradient


class Flowers(tfds.core.GeneratorBasedBuilder):
    """Images of many sizes in two splits; the second has no labels, as ImageNet's test split."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict(
            {"image": tfds.features.Image(encoding_format="jpeg"), "label": tfds.features.ClassLabel(num_classes=5)}
        )
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(20, True), "test": self._generate_examples(4, False)}

    def _generate_examples(self, count, labelled):
        for number in range(count):
            image = gradient(20 + number, 30, number)
            yield number, {"image": image, "label": number % 5 if labelled else -1}
