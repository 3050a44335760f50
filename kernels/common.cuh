// What the kernels share. Frames are padded by one pixel on every side, as in cpu.py: the pixel
// (x, y) of a frame W wide lies at (y + 1) * (W + 2) + x + 1. Every kernel does one item per thread
// and takes sizes as arguments, so it is compiled once. Arithmetic is written out in the order of
// the CPU twin, and compiled without fusing multiplications into additions, so decisions agree.
// Names in capitals that are defined nowhere here come from constants.py, by -D.

#pragma once

#define INFINITE __int_as_float(0x7f800000)

__device__ inline long long thread_index() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

// Disparities are never negative where this is used, so their bits sort like whole numbers.
__device__ inline void keep_largest(float* pixel, float disparity) {
    atomicMax((int*)pixel, __float_as_int(disparity));
}

// What stands there at this moment, where other threads may be raising it: a plain read is not
// promised to give any value that was ever there.
__device__ inline float now(const float* pixel) { return *(const volatile float*)pixel; }
