"""Resuming: a run that was stopped goes on, in the middle of its epoch, as if it had not been.

`resume` is the callback, `checkpoints` the files, `identity` which run a checkpoint is of, `remembered` what other
callbacks know.

    model.fit(train, epochs=200, callbacks=[Resume("run/")])        # the same line starts and goes on
"""

from keras_mixsize.resuming.resume import Resume

__all__ = ["Resume"]
