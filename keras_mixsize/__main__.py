"""`python -m keras_mixsize` is the command `mixsize`.

python -m keras_mixsize plan cifar/d+ --examples=50000
"""

from keras_mixsize.cli.main import main

if __name__ == "__main__":
    main()
