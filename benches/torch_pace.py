"""Images a second that PyTorch trains a network at, on noise: prints two numbers, eager and the same step as a CUDA graph.
Called by `cargo xtask bench card`.

    python torch_pace.py MODEL BATCH N_STEPS        (with a CUDA build of PyTorch)

The networks are those of crates/golden/keras/make.py. Images lie on the card and are gathered there, as ours do. Single
precision throughout: TensorFloat-32 is off. cuDNN picks its algorithms by measuring, and Adam is the fused one.
"""

import sys
import time

import torch
from torch import nn
from torch.nn import functional

N_IMAGES, SIDE, CLASSES = 60_000, 28, 10
WARM = 20
EPSILON, KEPT = 1e-3, 0.01  # Keras's batch normalisation


def conv_relu_norm(inputs, outputs, window, stride=1, padding=0, bias=False):
    conv = nn.Conv2d(inputs, outputs, window, stride, padding, bias=bias)
    return [conv, nn.ReLU(), nn.BatchNorm2d(outputs, EPSILON, KEPT)]


def compact():
    return [
        *conv_relu_norm(1, 16, 3),
        *conv_relu_norm(16, 16, 3),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 10, 1, bias=False),
        nn.ReLU(),
        *conv_relu_norm(10, 16, 3),
        *conv_relu_norm(16, 16, 3),
        *conv_relu_norm(16, 16, 3),
        *conv_relu_norm(16, 16, 3),
        nn.Conv2d(16, 10, 4, bias=False),
        nn.Flatten(),
    ]


def classic():
    return [
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, CLASSES),
    ]


def leaky():
    def conv(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs, EPSILON, KEPT), nn.LeakyReLU(0.3)]

    def dense(inputs, outputs):
        return [nn.Linear(inputs, outputs), nn.LeakyReLU(0.3), nn.Dropout(0.25)]

    shrink = [nn.MaxPool2d(2), nn.Dropout(0.25)]
    return [
        *conv(1, 32),
        *conv(32, 32),
        *shrink,
        *conv(32, 64),
        *conv(64, 64),
        *shrink,
        *conv(64, 128),
        *shrink,
        *conv(128, 64),
        *shrink,
        nn.Flatten(),
        nn.BatchNorm1d(64, EPSILON, KEPT),
        nn.Dropout(0.25),
        *dense(64, 256),
        *dense(256, 128),
        nn.Linear(128, CLASSES),
    ]


def strided():
    return [
        nn.Conv2d(1, 16, 5, 2, 2),
        nn.ReLU(),
        *conv_relu_norm(16, 32, 3, 1, 1, True),
        *conv_relu_norm(32, 32, 3, 2, 1, True),
        nn.Dropout(0.25),
        *conv_relu_norm(32, 64, 3, 1, 1, True),
        *conv_relu_norm(64, 64, 3, 2, 1, True),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(1024, 256),
        nn.ReLU(),
        nn.BatchNorm1d(256, EPSILON, KEPT),
        nn.Dropout(0.25),
        nn.Linear(256, CLASSES),
    ]


def wide():
    def conv(inputs, outputs, window):
        return [nn.Conv2d(inputs, outputs, window, padding=window // 2), nn.ReLU()]

    shrink = [nn.MaxPool2d(2), nn.Dropout(0.25)]
    return [
        *conv(1, 32, 5),
        *conv(32, 32, 5),
        *shrink,
        *conv(32, 64, 3),
        *conv(64, 64, 3),
        *shrink,
        nn.Flatten(),
        nn.Linear(3136, 8192),
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.Linear(8192, 2048),
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.Linear(2048, CLASSES),
    ]


NETWORKS = {"compact": compact, "classic": classic, "leaky": leaky, "strided": strided, "wide": wide}


def pace(step, draw, batch, n_steps):
    for _ in range(WARM):
        draw()
        step()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(n_steps):
        draw()
        step()
    torch.cuda.synchronize()
    return n_steps * batch / (time.perf_counter() - began)


def main():
    name, batch, n_steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    images = torch.randint(0, 256, (N_IMAGES, 1, SIDE, SIDE), dtype=torch.uint8, device="cuda")
    labels = torch.randint(0, CLASSES, (N_IMAGES,), device="cuda")
    network = nn.Sequential(*NETWORKS[name]()).cuda().train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, capturable=True, fused=True)
    picked = torch.zeros(batch, dtype=torch.long, device="cuda")

    def draw():
        picked.copy_(torch.randint(0, N_IMAGES, (batch,), device="cuda"))

    def step():
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(network(images[picked].float() / 255), labels[picked]).backward()
        optimizer.step()

    print(pace(step, draw, batch, n_steps))

    # What is captured must have run on a stream of its own before.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    print(pace(graph.replay, draw, batch, n_steps))


if __name__ == "__main__":
    main()
