"""Golden numbers of the five networks and of the optimizers, computed by Keras: writes `<model>.json` and
`optimizers.json` beside this file.

    pip install tensorflow-cpu==2.20.0 keras==3.15.1        (with Python 3.11)
    python make.py [model ...] [--distance]

Everything is computed and stored in float64. `--distance` also computes it in float32 and prints how far that is off.

Weights and images are not stored: `hashed` makes them, the same in Rust. Arrays are numbered from 0: first all
trained ones in layer order (kernel, bias; gamma, beta), then all running statistics in layer order (moving_mean,
moving_variance). Elements are counted in the project's layout, which is not Keras's: convolution kernels are
[filters, channels, height, width], dense kernels [units, inputs], and Flatten puts out channel, row, column. What the
formula gives is rounded to float32 before it is used, and the input is byte / 255 rounded to float32.

Dropout is off (rate 0). A digest of an array is its L2 norm, its sum and at most 24 of its elements: those with the
flat indices k * length // 24, or all if there are no more than 24.

What to expect of float32: in `leaky`, a bias right before a batch normalisation has no effect and gradient 0 (stored
as what float64 leaves of it, 1e-14 or less), but Adam turns float32's rounding errors into steps of nearly the
learning rate. The same happens to single elements with tiny gradients anywhere, so that after three steps of Adam a
few of them are up to 1e-3 off, while the losses still agree. SGD's steps follow the size of the gradients, so after
three of its steps everything agrees. An input of a rectifier may lie so close to 0 that float32 sees
the other sign, which moves gradients by 1e-3 of their size: with some images that happens in `leaky`, and in `strided`
during the three steps, so these have their own, for which Keras's float32 is nearest to its float64.
"""

import gc
import json
import platform
import sys
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Lambda, LeakyReLU, MaxPooling2D, ReLU

BATCH, SIDE, CLASSES = 8, 28, 10
BOX = range(4, 24)  # rows and columns that may hold ink
IMAGES = {"strided": 1020, "leaky": 1020}  # array number of the images, else 1000; the next is what is blanked in them
STEPS = 3
SAMPLES = 24
LABELS = (3 * np.arange(BATCH) + 1) % CLASSES


# With the default epsilon Adam's first steps are the signs of the gradients, of rounding too; SGD's follow their size.
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(1e-2, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(1e-3),
}
DESCENT_STEPS = 40
DESCENT_START = [4.0, -3.0, 0.1]
DESCENTS = {
    "adam": lambda: keras.optimizers.Adam(0.03),
    "adamw": lambda: keras.optimizers.AdamW(0.03, weight_decay=0.01),
    "sgd": lambda: keras.optimizers.SGD(0.03, momentum=0.9, nesterov=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.03),
    "adadelta": lambda: keras.optimizers.Adadelta(0.03),
}

# The networks, layer by layer as in src/zoo. Layers are made anew each time, with the float type of that time.


def compact():
    def block():
        return [Conv2D(16, 3, use_bias=False), ReLU(), BatchNormalization()]

    layers = block() + block() + [MaxPooling2D(), Conv2D(10, 1, use_bias=False), ReLU()]
    layers += block() + block() + block() + block()
    return layers + [Dropout(0), Conv2D(10, 4, use_bias=False), Flatten()]


def strided():
    def block(filters, strides=1):
        return [Conv2D(filters, 3, strides, "same"), ReLU(), BatchNormalization()]

    layers = [Conv2D(16, 5, 2, "same"), ReLU()]
    layers += block(32) + block(32, 2) + [Dropout(0)]
    layers += block(64) + block(64, 2) + [Dropout(0), Flatten()]
    return layers + [Dense(256), ReLU(), BatchNormalization(), Dropout(0), Dense(CLASSES)]


def leaky():
    def block(filters):
        return [Conv2D(filters, 3, padding="same"), BatchNormalization(), LeakyReLU(0.3)]

    def shrink():
        return [MaxPooling2D(), Dropout(0)]

    layers = [Lambda(lambda pixels: (pixels - 0.13066047) / 0.3081078)]
    layers += block(32) + block(32) + shrink()
    layers += block(64) + block(64) + shrink()
    layers += block(128) + shrink() + block(64) + shrink()
    layers += [Flatten(), BatchNormalization(), Dropout(0)]
    layers += [Dense(256), LeakyReLU(0.3), Dropout(0), Dense(128), LeakyReLU(0.3), Dropout(0)]
    return layers + [Dense(CLASSES)]


def classic():
    layers = [Conv2D(32, 3), ReLU(), Conv2D(64, 3), ReLU(), MaxPooling2D(), Dropout(0), Flatten()]
    return layers + [Dense(128), ReLU(), Dropout(0), Dense(CLASSES)]


def wide():
    def stage(filters, kernel):
        convs = [layer for _ in range(2) for layer in (Conv2D(filters, kernel, padding="same"), ReLU())]
        return convs + [MaxPooling2D(), Dropout(0)]

    layers = stage(32, 5) + stage(64, 3) + [Flatten()]
    return layers + [Dense(8192), ReLU(), Dropout(0), Dense(2048), ReLU(), Dropout(0), Dense(CLASSES)]


NETWORKS = {network.__name__: network for network in (compact, strided, leaky, classic, wide)}


# Numbers out of nothing.


def hashed(array, length):
    """`length` numbers from 0 to 1 (exclusive), multiples of 2^-24, in float64."""
    h = np.arange(length, dtype=np.uint32) * np.uint32(0x9E3779B1)
    h += np.uint32((array * 0x85EBCA77 + 0x27D4EB2F) % 2**32)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x2C1B3C6D)
    h ^= h >> np.uint32(12)
    h *= np.uint32(0x297A2D39)
    h ^= h >> np.uint32(15)
    return (h >> np.uint32(8)) / 2.0**24


def initial(array, role, shape):
    """What an array of this role and shape (of the project's layout) starts with, in float32."""
    u = hashed(array, int(np.prod(shape)))
    if role == "kernel":
        window = int(np.prod(shape[2:]))  # 1 for a dense kernel
        values = (2 * u - 1) * np.sqrt(6 / ((shape[0] + shape[1]) * window))
    elif role in ("bias", "beta", "moving_mean"):
        values = (2 * u - 1) * 0.1
    else:  # gamma, moving_variance
        values = 0.5 + u
    return values.astype(np.float32).reshape(shape)


def images(name):
    """Noise in the middle, half of it blank: bytes."""
    first = IMAGES.get(name, 1000)
    noise, blank = (hashed(a, BATCH * SIDE * SIDE).reshape(BATCH, SIDE, SIDE) for a in (first, first + 1))
    inside = np.isin(np.arange(SIDE), BOX)
    shown = inside[:, None] & inside[None, :] & (blank >= 0.5)
    return np.where(shown, np.floor(noise * 256), 0).astype(np.uint8)


# Between Keras's layout and the project's.


def flattened(model):
    """The shapes (height, width, channels) that the dense layers right after a Flatten get, by layer name."""
    flat, shapes = None, {}
    for layer in model.layers:
        if isinstance(layer, Flatten):
            flat = tuple(layer.input.shape[1:])
        elif isinstance(layer, Dense):
            if flat:
                shapes[layer.name] = flat
            flat = None
    return shapes


class Array:
    """A Keras variable with its name and its layout in the project."""

    def __init__(self, name, variable, flat):
        self.name, self.variable, self.role = name, variable, variable.name
        shape = tuple(variable.shape)
        if len(shape) == 4:  # height, width, channels, filters
            self.split, self.order = shape, (3, 2, 0, 1)
            self.shape = tuple(shape[axis] for axis in self.order)
        elif len(shape) == 2:  # inputs, units
            self.split, self.order = (flat or (1, 1, shape[0])) + shape[1:], (3, 2, 0, 1)
            self.shape = shape[::-1]
        else:
            self.split, self.order, self.shape = shape, (0,), shape

    def ours(self, values):
        return np.asarray(values).reshape(self.split).transpose(self.order).reshape(self.shape)

    def assign(self, values):
        split = values.reshape([self.split[axis] for axis in self.order])
        self.variable.assign(split.transpose(np.argsort(self.order)).reshape(self.variable.shape))


def snake(kind):
    kind = kind.lower().replace("batchnormalization", "batch_norm").replace("maxpooling2d", "max_pool")
    return kind.replace("leakyrelu", "leaky_relu")


def arrays(model):
    """The trained arrays and the running statistics, named as in src/zoo/summary.rs."""
    flat, seen, trained, running = flattened(model), Counter(), [], []
    for layer in model.layers:
        kind = snake(type(layer).__name__)
        seen[kind] += 1
        for into, variables in ((trained, layer.trainable_variables), (running, layer.non_trainable_variables)):
            into += [Array(f"{kind}_{seen[kind]}.{v.name}", v, flat.get(layer.name)) for v in variables]
    return trained, running


# What is stored.


def rounded(values):
    return [float(f"{value:.9g}") for value in np.asarray(values, np.float64).ravel()]


def digest(values):
    flat = np.asarray(values, np.float64).ravel()
    indices = range(flat.size) if flat.size <= SAMPLES else [k * flat.size // SAMPLES for k in range(SAMPLES)]
    norm, total = rounded([np.linalg.norm(flat), flat.sum()])
    return {"norm": norm, "sum": total, "samples": rounded(flat[indices])}


def summary(model):
    def count(variables):
        return sum(int(np.prod(variable.shape)) for variable in variables)

    trainable, fixed = count(model.trainable_variables), count(model.non_trainable_variables)
    rows = [[type(layer).__name__, list(layer.output.shape[1:]), layer.count_params()] for layer in model.layers]
    assert model.count_params() == trainable + fixed == sum(row[2] for row in rows)
    return {"layers": rows, "total": model.count_params(), "trainable": trainable, "non_trainable": fixed}


def learn(model, trained, pixels, optimizer):
    """Three steps: the logits and gradients of the first, and the loss of each."""
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    first, losses = None, []
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            logits = model(pixels, training=True)
            loss = cross_entropy(LABELS, logits)
        gradients = tape.gradient(loss, [array.variable.value for array in trained])
        assert logits.dtype == loss.dtype == gradients[0].dtype == keras.config.floatx()
        first = first or (logits, {array.name: digest(array.ours(g)) for array, g in zip(trained, gradients)})
        optimizer.apply_gradients(zip(gradients, [array.variable for array in trained]))
        losses.append(float(loss))
        del gradients, tape
    return *first, losses


def compute(name, float_type):
    keras.backend.clear_session()
    keras.config.set_floatx(float_type)
    model = keras.Sequential([keras.Input((SIDE, SIDE, 1)), *NETWORKS[name]()])
    trained, running = arrays(model)
    pixels = tf.constant((images(name) / 255).astype(np.float32).astype(float_type)[..., None])
    steps = {}
    for kind, optimizer in OPTIMIZERS.items():
        for number, array in enumerate(trained + running):
            array.assign(initial(number, array.role, array.shape))
        evaluated = model(pixels, training=False)
        logits, slopes, losses = learn(model, trained, pixels, optimizer())
        after = {array.name: digest(array.ours(array.variable)) for array in trained + running}
        steps[kind] = {"losses": rounded(losses), "arrays": after}
        gc.collect()
    return {
        "model": name,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__, "python": platform.python_version()},
        "float_type": float_type,
        "summary": summary(model),
        "trained": [[array.name, list(array.shape)] for array in trained],
        "running": [[array.name, list(array.shape)] for array in running],
        "labels": LABELS.tolist(),
        "logits": [rounded(row) for row in logits],
        "evaluated": [rounded(row) for row in evaluated],
        "loss": rounded([losses[0]])[0],
        "gradients": slopes,
        "after_three_steps": steps,
    }


def descend(optimizer):
    """Where an optimizer leads three numbers x whose loss is the sum of their squares."""
    x = keras.Variable(DESCENT_START, dtype="float64", name="kernel")
    for _ in range(DESCENT_STEPS):
        optimizer.apply_gradients([(2 * x.value, x)])
    return rounded(x.value)


def write(name, golden):
    """One line for each row, array and digest."""

    def text(value, depth):
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        if depth > 4 or not any(isinstance(v, (list, dict)) for v in inside):
            return json.dumps(value)
        inner, outer = "\n" + " " * depth, "\n" + " " * (depth - 1)
        if isinstance(value, dict):
            lines = [f"{json.dumps(key)}: {text(v, depth + 1)}" for key, v in value.items()]
            return "{" + inner + ("," + inner).join(lines) + outer + "}"
        return "[" + inner + ("," + inner).join(text(v, depth + 1) for v in value) + outer + "]"

    Path(__file__).with_name(f"{name}.json").write_text(text(golden, 1) + "\n")


def apart(golden, other):
    """Prints how far `other` is from `golden`: relative to the greatest number or to norm / sqrt(length)."""
    for key in ("logits", "evaluated"):
        a, b = np.array(golden[key]), np.array(other[key])
        print(f"  {key}: {np.abs(a - b).max() / np.abs(a).max():.1e}")
    sizes = {name: int(np.prod(shape)) for name, shape in golden["trained"] + golden["running"]}
    compared = {"gradients": (golden["gradients"], other["gradients"])}
    for kind in OPTIMIZERS:
        steps, other_steps = golden["after_three_steps"][kind], other["after_three_steps"][kind]
        compared[f"after three steps of {kind}"] = (steps["arrays"], other_steps["arrays"])
        a, b = np.array(steps["losses"]), np.array(other_steps["losses"])
        print(f"  losses of {kind}: {np.abs(a - b).max() / np.abs(a).max():.1e}")
    for title, (golden_arrays, other_arrays) in compared.items():
        rows = []
        for name, a in golden_arrays.items():
            b, typical = other_arrays[name], a["norm"] / np.sqrt(sizes[name])
            sample = np.abs(np.array(a["samples"]) - b["samples"]).max()
            norm = abs(a["norm"] - b["norm"]) / a["norm"]
            total = abs(a["sum"] - b["sum"]) / (a["norm"] * np.sqrt(sizes[name]))
            rows.append((sample / typical, norm, total, sample, a["norm"], name))
        print(f"  {title}: relative distance of samples, norm, sum; absolute of samples; norm")
        for sample, norm, total, absolute, length, name in sorted(rows, reverse=True):
            print(f"    {sample:.1e} {norm:.1e} {total:.1e} {absolute:.1e} {length:.1e} {name}")


def main():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.config.set_floatx("float64")
    write("optimizers", {name: descend(optimizer()) for name, optimizer in DESCENTS.items()})
    for name in [a for a in sys.argv[1:] if a in NETWORKS] or NETWORKS:
        golden = compute(name, "float64")
        gc.collect()
        write(name, golden)
        print(f"{name}: {golden['summary']['total']} parameters, first loss {golden['loss']}", flush=True)
        if "--distance" in sys.argv:
            apart(golden, compute(name, "float32"))
            gc.collect()


if __name__ == "__main__":
    main()
