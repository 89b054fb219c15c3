"""What an export holds, for tests of what it says of itself."""

from keras_mixsize.evaluation.report import Accuracy, SizeReport, SizeRow
from keras_mixsize.export import Cascade, Limits, Preprocessing
from keras_mixsize.export.options import Contents

ROW = SizeRow(32, Accuracy(0.8, 0.75, 0.85), 0.6, Accuracy(0.9, 0.85, 0.95), 0.4, 5_000_000, 0.25)
REPORT = SizeReport("ours", (ROW,), {"images": 100})
MULTIPLY_ADDS = {32: 5_000_000}
CONTENTS = Contents(
    name="net",
    sizes=(32,),
    channels=3,
    class_names=("cat", "dog"),
    default_size=32,
    top=2,
    preprocessing=Preprocessing(),
    limits=Limits(max_batch=8, max_pixels=1000),
    calibration_batches=20,
    report=REPORT,
    cascade=Cascade(16, 32, 0.75, Accuracy(0.9, 0.85, 0.95), 0.25, 0.5),
)
