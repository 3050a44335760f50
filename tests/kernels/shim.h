// Enough of CUDA to compile our kernels with a host compiler and run their threads on several of
// its own. None of them waits for others of its block: __shared__ and __syncthreads are not here.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>
using namespace std;

#define __global__
#define __device__

struct Index { unsigned int x; };
static thread_local Index blockIdx, threadIdx, blockDim;

inline int __float_as_int(float value) { int bits; memcpy(&bits, &value, 4); return bits; }
inline float __int_as_float(int bits) { float value; memcpy(&value, &bits, 4); return value; }

// As on a card: one operation that no other thread divides, and nothing said about other memory.
template <class T, class Change> T atomically(T* at, Change change) {
    T old, changed;
    __atomic_load(at, &old, __ATOMIC_RELAXED);
    do changed = change(old);
    while (!__atomic_compare_exchange(at, &old, &changed, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return old;
}
template <class T> T atomicAdd(T* at, T value) {
    return atomically(at, [=](T old) { return old + value; });
}
template <class T> T atomicMax(T* at, T value) {
    return atomically(at, [=](T old) { return max(old, value); });
}
template <class T> T atomicMin(T* at, T value) {
    return atomically(at, [=](T old) { return min(old, value); });
}
inline int atomicCAS(int* at, int seen, int value) {
    return atomically(at, [=](int old) { return old == seen ? value : old; });
}

// Runs a kernel for `count` items, rounded up to whole blocks of `block`. Neighbours go to different
// ones of `threads` host threads, which start together: neighbours meet on pixels.
template <class Kernel> void run(Kernel kernel, long long count, int block, int threads) {
    atomic<int> waiting(threads);
    auto work = [&](long long first) {
        for (--waiting; waiting > 0;) this_thread::yield();
        blockDim.x = block;
        for (long long i = first; i < (count + block - 1) / block * block; i += threads) {
            blockIdx.x = (unsigned int)(i / block);
            threadIdx.x = (unsigned int)(i % block);
            kernel();
        }
    };
    vector<thread> others;
    for (int k = 1; k < threads; ++k) others.emplace_back(work, k);
    work(0);
    for (thread& other : others) other.join();
}
