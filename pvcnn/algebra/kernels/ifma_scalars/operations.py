"""What `pvcnn.algebra.scalars` calls on eight lanes: the names of `pvcnn.algebra.kernels.scalar_vectors`.

Random numbers are drawn rarely and Horner's sums are few, and each waits for the one before: these stay
as they are.
"""

from pvcnn.algebra.kernels.ifma_scalars.chains import (
    CHAINS,
    invert_from_products,
    power_sequence,
    running_products,
)
from pvcnn.algebra.kernels.ifma_scalars.sums import inner_product, inner_product_signed
from pvcnn.algebra.kernels.ifma_scalars.vectors import (
    add_vectors,
    enter_montgomery,
    from_signed,
    leave_montgomery,
    multiply_vectors,
    negate_vector,
    scale_vector,
    subtract_vectors,
)
from pvcnn.algebra.kernels.scalar_vectors import first_zero, horner_rows, reduce_wide

__all__ = [
    "CHAINS",
    "add_vectors",
    "enter_montgomery",
    "first_zero",
    "from_signed",
    "horner_rows",
    "inner_product",
    "inner_product_signed",
    "invert_from_products",
    "leave_montgomery",
    "multiply_vectors",
    "negate_vector",
    "power_sequence",
    "reduce_wide",
    "running_products",
    "scale_vector",
    "subtract_vectors",
]
