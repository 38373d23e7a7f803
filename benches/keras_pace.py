"""Images a second that Keras trains a network at, on noise: prints one number. Called by `cargo xtask bench keras`.

    pip install tensorflow-cpu==2.20.0 keras==3.15.1        (with Python 3.11)
    python keras_pace.py MODEL BATCH N_IMAGES

The networks are those of crates/golden/keras/make.py, with dropout off, which spares Keras that work. `fit` runs as it comes:
compiled, on every core. The first of two epochs compiles; the second is timed.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "golden"))

import keras
import numpy as np
from make import CLASSES, NETWORKS, SIDE


class Clock(keras.callbacks.Callback):
    """Seconds of the last epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.took = time.perf_counter() - self.began


def main():
    name, batch, n_images = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    noise = np.random.default_rng(1)
    images = noise.random((n_images, SIDE, SIDE, 1), np.float32)
    labels = noise.integers(0, CLASSES, n_images)
    model = keras.Sequential([keras.Input((SIDE, SIDE, 1)), *NETWORKS[name]()])
    model.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    clock = Clock()
    model.fit(images, labels, batch_size=batch, epochs=2, verbose=0, callbacks=[clock])
    print(n_images / clock.took)


if __name__ == "__main__":
    main()
