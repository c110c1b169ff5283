"""Eight-lane kernels over F_r for processors with the AVX-512 IFMA instructions.

`field` is the arithmetic, `blocks` the way between memory and lanes, `vectors` elementwise operations,
`sums` inner products, `butterflies` the transforms' steps and `transforms` the loops over them. Code that
is compiled from here must only run where `pvcnn.algebra.kernels.selection` allows it.
"""
