"""The command `mixsize`: one file a subcommand, on absl flags.

`main` finds the subcommand; a command's file is imported when it runs, and loads TensorFlow only when it works, so that
`--help` and `mixsize plan` answer at once. `run` is one training run as a value and a function.

    mixsize plan cifar/d+ --examples=50000
    mixsize train --dataset=photos
"""
