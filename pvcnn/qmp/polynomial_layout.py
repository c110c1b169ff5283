"""Which coefficient of which polynomial an entry of a convolution is: see `lower_polynomials`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.convolution_geometry import Axis, axes
from pvcnn.qmp.matrix_program import ConvolutionProduct

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PolynomialLayout:
    """Exponents and polynomials of a gate's entries.

    inputs: flat positions of the entries that take part, with exponent and number of polynomial each;
    kernels: the same for those of one output channel, flat in (C/G, Kh, Kw). Their polynomials are those of
    the first group; each further group's are `group_polynomials` further.
    rows, columns: where the product has coefficients, ascending; sticks_out: (rows, columns), which of
    them are in the overhang. output_exponents (F Ho Wo), overhang_exponents (F times the overhang): within
    one output channel. channel_pitch: L.
    """

    inputs: Integers
    input_exponents: Integers
    input_polynomials: Integers
    kernels: Integers
    kernel_exponents: Integers
    kernel_polynomials: Integers
    polynomials: int
    group_polynomials: int
    rows: Integers
    columns: Integers
    sticks_out: NDArray[np.bool_]
    output_exponents: Integers
    overhang_exponents: Integers
    channel_pitch: int

    @property
    def overhang(self) -> int:
        """How many coefficients stick out, for each output channel."""
        return len(self.overhang_exponents)

    @classmethod
    def of(cls, gate: ConvolutionProduct) -> PolynomialLayout:
        frames, channels, height, width = gate.inputs.shape
        vertical, horizontal = axes(gate)
        down, across = (axis.offsets // axis.stride for axis in (vertical, horizontal))
        rows, columns = vertical.reached(), horizontal.reached()
        first_row, first_column = _first(vertical), _first(horizontal)
        row_pitch = max(int(columns.max(initial=0)), horizontal.outputs - 1) - first_column + 1
        frame_pitch = row_pitch * (max(int(rows.max(initial=0)), vertical.outputs - 1) - first_row + 1)

        f, c, p, q = _grid(np.arange(frames), np.arange(channels), vertical.used, horizontal.used)
        i, row_phase = np.divmod(p + vertical.padding, vertical.stride)
        j, column_phase = np.divmod(q + horizontal.padding, horizontal.stride)
        of_input = (c * vertical.stride + row_phase) * horizontal.stride + column_phase
        polynomials, input_polynomials = np.unique(of_input, return_inverse=True)
        places = row_pitch * (i - down[-1] - first_row) + j - across[-1] - first_column

        c_k, d, e = _grid(np.arange(gate.kernels.shape[1]), vertical.used_taps, horizontal.used_taps)
        phases = vertical.offsets[d] % vertical.stride, horizontal.offsets[e] % horizontal.stride
        of_kernel = (c_k * vertical.stride + phases[0]) * horizontal.stride + phases[1]

        inside = _within(rows, vertical)[:, None] & _within(columns, horizontal)
        place = row_pitch * (rows[:, None] - first_row) + columns - first_column
        outputs = row_pitch * (np.arange(vertical.outputs)[:, None] - first_row)
        outputs = outputs + np.arange(horizontal.outputs) - first_column
        frame = frame_pitch * np.arange(frames)[:, None]
        return cls(
            inputs=((f * channels + c) * height + p) * width + q,
            input_exponents=frame_pitch * f + places,
            input_polynomials=input_polynomials,
            kernels=(c_k * vertical.kernel + d) * horizontal.kernel + e,
            kernel_exponents=row_pitch * (down[-1] - down[d]) + across[-1] - across[e],
            kernel_polynomials=np.searchsorted(polynomials, of_kernel),
            polynomials=len(polynomials),
            group_polynomials=len(polynomials) // gate.groups,
            rows=rows,
            columns=columns,
            sticks_out=~inside,
            output_exponents=(frame + outputs.reshape(-1)).reshape(-1),
            overhang_exponents=(frame + place[~inside]).reshape(-1),
            channel_pitch=frames * frame_pitch,
        )


def _grid(*coordinates: Integers) -> list[Integers]:
    """All combinations, flat, the last coordinate fastest."""
    return [axis.reshape(-1) for axis in np.meshgrid(*coordinates, indexing="ij")]


def _first(axis: Axis) -> int:
    """i0 or j0, the place whose power is 1: where the last kernel entry meets the first input entry, or the
    first output.
    """
    if not len(axis.used):
        return 0
    return min((int(axis.used[0]) + axis.padding) // axis.stride - int(axis.offsets[-1]) // axis.stride, 0)


def _within(places: Integers, axis: Axis) -> NDArray[np.bool_]:
    return (places >= 0) & (places < axis.outputs)
