"""LLVM code for arithmetic on eight lanes of processors with the AVX-512 IFMA instructions."""
