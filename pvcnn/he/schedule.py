"""The chain of private layers as steps on ciphertexts: grids, prime by prime, scale by scale."""

from __future__ import annotations

import cmath
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import ParameterError
from pvcnn.he.packing import TAPS, Grid
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivateLayer,
    PrivatePart,
    Square,
)


@dataclass(frozen=True, eq=False)
class Stage:
    """One layer: what it gets and what it leaves, in slots.

    A slot holds value / factor: pooling leaves sums, and the division waits for the next
    plaintext product, which costs nothing extra there.

    Slots are complex, so two channels fit one ciphertext, as u + i v. The stage that `merges` is the last
    one that is not pooling, and adds channels 2k and 2k + 1. What v needs to arrive with a factor of i is the
    `phase` with which the last convolution multiplies odd channels: i itself if it merges, and a root of i
    if squares follow, since (e^(i pi / 4) v)^2 = i v^2. All that comes after merging is done once for two.
    """

    layer: PrivateLayer
    grid: Grid
    channels: int
    factor: float
    output_grid: Grid
    output_channels: int
    output_factor: float
    phase: complex = 1.0
    merges: bool = False

    @property
    def primes_used(self) -> int:
        """How many primes the layer's rescaling drops."""
        return 0 if isinstance(self.layer, PrivateAveragePool) else 1

    @property
    def kernel(self) -> NDArray[np.float64]:
        """A convolution's weights as they multiply slots, (out, in, 9), but for the phase."""
        assert isinstance(self.layer, PrivateConvolution)
        return self.factor * self.layer.weight.reshape(self.output_channels, self.channels, len(TAPS))

    @property
    def steps(self) -> list[int]:
        """The rotations that the layer makes."""
        match self.layer:
            case PrivateConvolution():
                return [self.grid.step(*tap) for tap in TAPS if tap != (0, 0)]
            case PrivateAveragePool(size=size):
                return self.grid.pooling_steps(size)
            case Square():
                return []


def stages(private: PrivatePart) -> tuple[Stage, ...]:
    """The chain's stages. Raises ParameterError, naming the layer, where it cannot be evaluated."""
    if len(private.input_shape) != 3 or min(private.input_shape) < 1:
        raise ParameterError(f"a frame has channels, rows and columns, not shape {private.input_shape}")
    channels, rows, columns = private.input_shape
    chain = _paired(list(_walk(private.layers, channels, Grid(rows, columns, columns))))
    last = chain[-1]
    reached = (last.output_channels, last.output_grid.rows, last.output_grid.columns)
    if reached != tuple(private.output_shape):
        raise ParameterError(
            f"{last.layer.name}: leaves features of shape {reached}, not {tuple(private.output_shape)}"
        )
    return chain


def _paired(chain: list[Stage]) -> tuple[Stage, ...]:
    """The chain with the stage that merges channels in pairs, and the phase that lets it."""
    convolutions = [i for i, stage in enumerate(chain) if isinstance(stage.layer, PrivateConvolution)]
    if not convolutions:
        raise ParameterError("the private part has no convolution: nothing in it would be private")
    products = [i for i, stage in enumerate(chain) if not isinstance(stage.layer, PrivateAveragePool)]
    last, merging = convolutions[-1], products[-1]
    squares = sum(isinstance(stage.layer, Square) for stage in chain[last:])
    chain[last] = replace(chain[last], phase=cmath.exp(0.5j * cmath.pi / 2**squares))
    chain[merging] = replace(chain[merging], merges=True)
    return tuple(chain)


def _walk(layers: tuple[PrivateLayer, ...], channels: int, grid: Grid) -> Iterator[Stage]:
    factor = 1.0
    for layer in layers:
        stage = _stage(layer, channels, grid, factor)
        yield stage
        channels, grid, factor = stage.output_channels, stage.output_grid, stage.output_factor


def _stage(layer: PrivateLayer, channels: int, grid: Grid, factor: float) -> Stage:
    match layer:
        case PrivateConvolution(name=name, weight=weight, bias=bias):
            if weight.ndim != 4 or weight.shape[1:] != (channels, 3, 3) or len(weight) < 1:
                raise ParameterError(
                    f"{name}: a 3x3 convolution of {channels} channels is needed, not weights {weight.shape}"
                )
            if bias.shape != weight.shape[:1]:
                raise ParameterError(
                    f"{name}: {len(weight)} filters cannot have biases of shape {bias.shape}"
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ParameterError(f"{name}: a weight or bias is not a finite number")
            return Stage(layer, grid, channels, factor, grid, len(weight), 1.0)
        case Square():
            return Stage(layer, grid, channels, factor, grid, channels, factor**2)
        case PrivateAveragePool(name=name, size=size):
            if size < 1 or size & (size - 1):
                raise ParameterError(f"{name}: only windows of a power of two can be pooled, not {size}")
            pooled = grid.pooled(size)
            if min(pooled.rows, pooled.columns) < 1:
                raise ParameterError(f"{name}: a {grid.rows}x{grid.columns} grid has no {size}x{size} window")
            return Stage(layer, grid, channels, factor, pooled, channels, factor / size**2)
        case _:
            raise ParameterError(f"{layer!r}: this kind of layer cannot be evaluated on ciphertexts")


@dataclass(frozen=True)
class Level:
    """Before a stage: data primes that are left, and the ciphertexts' scale.

    `plaintext_scale` is the scale at which the stage's plaintexts are encoded, chosen such that the product,
    rescaled, comes out at the nominal scale.
    """

    primes: int
    scale: float
    plaintext_scale: float


def levels(chain: tuple[Stage, ...], moduli: tuple[int, ...], nominal_scale: float) -> tuple[Level, ...]:
    """The level before each stage, and at the end the one before the final mask.

    The moduli are the data primes followed by the special prime; every rescaling drops the last data prime.
    """
    primes, scale = len(moduli) - 1, nominal_scale
    found = []
    for stage in chain:
        last = float(moduli[primes - 1])
        found.append(Level(primes, scale, nominal_scale * last / scale))
        match stage.layer:
            case PrivateConvolution():
                scale = nominal_scale
            case Square():
                scale = scale * scale / last
        primes -= stage.primes_used
    return (*found, Level(primes, scale, nominal_scale * float(moduli[primes - 1]) / scale))
