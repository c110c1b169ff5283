"""Eight-lane kernels for processors with the AVX-512 IFMA instructions.

`vectors` is LLVM code for vectors of eight words, `field` a prime field on them, `coordinates` the
fields of the curves' coordinates, `groups` eight additions of points at a time, `conversion` the way
between point vectors and the rows that these work on. `additions` and `rows` are loops over them.
Code that is compiled from here must only run where `pvcnn.algebra.kernels.selection` allows it.
"""
