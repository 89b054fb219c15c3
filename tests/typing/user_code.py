"""What users write, with planted errors: a type checker must report the marked lines, as marked, and no others."""

import keras
import numpy as np

import keras_mixsize as kms

images, labels = np.zeros([64, 32, 32, 3], np.uint8), np.zeros([64], np.int64)
regime = kms.Regime.solve({32: 0.5, 24: 0.5}, base_size=32, base_batch=64, grow="duplicates")
regime.table(num_examples=50_000).splitlines()
train = kms.MixSizeDataset.from_arrays(images, labels, regime=regime, seed=0)
model = kms.MixSizeModel.from_model(kms.models.cifar_resnet(8, classes=10))
model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", ["accuracy"])
model.fit(train, epochs=1, callbacks=[kms.callbacks.Resume("run/")])
report = kms.evaluate_sizes(model, (images, labels), sizes=[24, 32], calibrate=train)
report.plot("accuracy_by_size.png")
kms.export_saved_model(model, "exported/", report=report)
kms.Plan(regime, num_examples=50_000, seed=0).at(10).bucket.size.bit_length()

kms.Regimen.preset("cifar/d+")  # error: attr-defined
kms.Regime.solve({32: 1.0}, base_size="32", base_batch=64)  # error: arg-type
kms.Regime.preset(32)  # error: arg-type
kms.Bucket(32, 64, copies=2)  # error: call-arg
regime.tables()  # error: attr-defined
kms.Plan(regime, examples=50_000)  # error: call-arg
kms.MixSizeDataset.from_arrays(images, labels, regime="cifar/d+")  # error: arg-type
kms.callbacks.Resume("run/", every_steps="10")  # error: arg-type
report.at(24).size.upper()  # error: attr-defined
kms.evaluate_sizes(model, (images, labels), sizes=24)  # error: arg-type
