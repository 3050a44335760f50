// Enough of CUDA to compile our kernels with a host compiler and run their threads one by one.
#include <cmath>
#include <cstring>
#include <algorithm>
using namespace std;

#define __global__
#define __device__

struct Index { unsigned int x; };
extern "C" { Index blockIdx, threadIdx, blockDim; }

inline int __float_as_int(float value) { int bits; memcpy(&bits, &value, 4); return bits; }
inline float __int_as_float(int bits) { float value; memcpy(&value, &bits, 4); return value; }
template <class T> T atomicAdd(T* at, T value) { T old = *at; *at = old + value; return old; }
template <class T> T atomicMax(T* at, T value) { T old = *at; *at = max(old, value); return old; }
template <class T> T atomicMin(T* at, T value) { T old = *at; *at = min(old, value); return old; }
inline int atomicCAS(int* at, int seen, int value) {
    int old = *at;
    if (old == seen) *at = value;
    return old;
}
