// The renderer written straight down, as the yardstick of benchmarks/render.py: one kernel per pass
// over planar floats, every value added by its own atomic, every ray walked step by step.

#define SCALE 1e6

__device__ inline bool project(const float* points, long long count, long long i, double focal,
                               double disparity_scale, int height, int width, float* x, float* y,
                               float* error) {
    float z = points[2 * count + i];
    if (!(z >= 0.001f)) return false;
    *x = (float)(points[i] * focal / z + 0.5 * width - 0.5);
    *y = (float)(points[count + i] * focal / z + 0.5 * height - 0.5);
    *error = (float)(SCALE - disparity_scale / (z + 1e-7));
    return *x > -1e6f && *x < 1e6f && *y > -1e6f && *y < 1e6f;
}

__device__ inline void atomic_min(float* address, float value) {
    int* bits = (int*)address;
    int old = *(volatile int*)bits, seen;  // what others may be lowering at this moment
    while (value < __int_as_float(old)) {
        seen = old;
        old = atomicCAS(bits, seen, __float_as_int(value));
        if (old == seen) break;
    }
}

// One thread per point (N): lowers the error (H, W) of its nearest pixel.
extern "C" __global__ void plain_zbuffer(const float* points, long long count, double focal,
                                         double disparity_scale, int height, int width,
                                         float* zbuffer) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    float x, y, error;
    if (i >= count) return;
    if (!project(points, count, i, focal, disparity_scale, height, width, &x, &y, &error)) return;
    int column = (int)ceilf(x - 0.5f), row = (int)ceilf(y - 0.5f);
    if (column >= 0 && column < width && row >= 0 && row < height)
        atomic_min(zbuffer + (long long)row * width + column, error);
}

// One thread per pixel (H * W): closes one-pixel cracks into a copy.
extern "C" __global__ void plain_degrid(const float* zbuffer, int height, int width,
                                        float* closed) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)height * width) return;
    int x = (int)(i % width), y = (int)(i / width), count = 0;
    const int opposite[4][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};
    float sum = 0;
    for (int k = 0; k < 4; ++k) {
        int dx = opposite[k][0], dy = opposite[k][1];
        if (dx && (x < 1 || x >= width - 1)) continue;
        if (dy && (y < 1 || y >= height - 1)) continue;
        float first = zbuffer[i + dy * width + dx], second = zbuffer[i - dy * width - dx];
        if (zbuffer[i] < first + 1 || zbuffer[i] < second + 1) continue;
        sum += first + second;
        count += 2;
    }
    closed[i] = count ? fminf(zbuffer[i], sum / count) : zbuffer[i];
}

// One thread per point (N): adds its features (4, N) to the four pixels around it in sums (4, H, W).
extern "C" __global__ void plain_splat(const float* points, const float* features,
                                       long long count, double focal, double disparity_scale,
                                       int height, int width, const float* zbuffer,
                                       float* sums) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    float x, y, error;
    if (i >= count) return;
    if (!project(points, count, i, focal, disparity_scale, height, width, &x, &y, &error)) return;
    float left = floorf(x), top = floorf(y);
    for (int k = 0; k < 4; ++k) {
        float column = left + (k & 1), row = top + (k >> 1);
        if (column < 0 || column >= width || row < 0 || row >= height) continue;
        long long pixel = (long long)row * width + (long long)column;
        float weight = (1 - fabsf(x - column)) * (1 - fabsf(y - row));
        if (error > zbuffer[pixel] + 1) continue;
        for (int c = 0; c < 4; ++c)
            atomicAdd(sums + (long long)c * height * width + pixel,
                      features[c * count + i] * weight);
    }
}

// One thread per pixel (H * W): a hole of view (3, H, W) takes the farther end of its shortest line.
extern "C" __global__ void plain_fill(const float* view, const float* zbuffer,
                                      const float* coverage, const float* units, int height,
                                      int width, float* filled) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    long long area = (long long)height * width;
    if (i >= area) return;
    long long source = i;
    float shortest = 1e9f;
    for (int d = 0; d < 16 && !(coverage[i] > 0); ++d) {
        long long ends[2];
        float across[2], along[2];
        bool found = true;
        for (int side = 0; side < 2 && found; ++side) {
            float x = (float)(i % width), y = (float)(i / width);
            float sign = side ? 1.0f : -1.0f;
            do {
                x += sign * units[2 * d];
                y += sign * units[2 * d + 1];
                across[side] = roundf(x);
                along[side] = roundf(y);
                found = across[side] >= 0 && across[side] < width && along[side] >= 0 &&
                        along[side] < height;
                ends[side] = (long long)along[side] * width + (long long)across[side];
            } while (found && !(coverage[ends[side]] > 0));
        }
        if (!found) continue;
        float dx = across[0] - across[1], dy = along[0] - along[1], length = sqrtf(dx * dx + dy * dy);
        if (length >= shortest) continue;
        shortest = length;
        source = zbuffer[ends[1]] > zbuffer[ends[0]] ? ends[1] : ends[0];
    }
    for (int c = 0; c < 3; ++c) filled[c * area + i] = view[c * area + source];
}
