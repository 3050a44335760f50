// render_pointcloud, its gradient, zbuffer and disocclusion_mask. Twin: cpu.py.

#include "common.cuh"

struct Projected {
    bool seen;
    int corner;              // padded index of the upper left of the four pixels
    float right, down;       // position between them, 0 .. 1
    float disparity;
    float key;               // what the published renderer compares: smaller = nearer
};

// Point i of sample b of points (B, 3, N); not seen if it touches no pixel or is not finite.
__device__ inline Projected project(const float* points, long long count, int b, long long i,
                                    const double* focal_px, const double* baseline,
                                    int height, int width) {
    Projected p;
    p.seen = false;
    const float* point = points + (long long)b * 3 * count + i;
    float z = point[2 * count], focal = (float)focal_px[b];
    if (!(z >= NEAR_PLANE && z < INFINITE)) return p;
    // The ratio in single precision, the centre added in double, rounded once: a point made from a
    // pixel falls onto that pixel's centre again (docs/method/rendering.md).
    float x = (float)((double)(point[0] * focal / z) + (0.5 * width - 0.5));
    float y = (float)((double)(point[count] * focal / z) + (0.5 * height - 0.5));
    if (!(x >= -1 && x < width && y >= -1 && y < height)) return p;
    float left = floorf(x), top = floorf(y);
    double disparity = focal_px[b] * baseline[b] / ((double)z + GUARD);
    p.seen = true;
    p.corner = ((int)top + 1) * (width + 2) + (int)left + 1;
    p.right = x - left;
    p.down = y - top;
    p.disparity = (float)disparity;
    // Rounded to steps of 1/16, as the reference's training masks were.
    p.key = (float)(1e6 - disparity);
    return p;
}

// Padded index of the pixel with the largest bilinear weight (ties: left, then upper).
__device__ inline int nearest(const Projected& p, int stride) {
    return p.corner + (p.right > 0.5f ? 1 : 0) + (p.down > 0.5f ? stride : 0);
}

__device__ inline bool in_padding(int pixel, int height, int width) {
    int x = pixel % (width + 2), y = pixel / (width + 2);
    return x < 1 || x > width || y < 1 || y > height;
}

// Index of padded pixel `pixel` in an unpadded (H, W) plane.
__device__ inline long long unpadded(int pixel, int width) {
    return (long long)(pixel / (width + 2) - 1) * width + pixel % (width + 2) - 1;
}

// The four weights of a point, 0 where it is hidden or outside, and its four padded pixels.
__device__ inline void weigh(const Projected& p, const float* closed, float tolerance,
                             int height, int width, int pixels[4], float weights[4]) {
    weights[0] = (1 - p.right) * (1 - p.down);
    weights[1] = p.right * (1 - p.down);
    weights[2] = (1 - p.right) * p.down;
    weights[3] = p.right * p.down;
    for (int k = 0; k < 4; ++k) {
        pixels[k] = p.corner + (k & 1) + (k >> 1) * (width + 2);
        // Not the nearest point alone: all points of the nearest surface are blended.
        bool hidden = p.disparity < closed[pixels[k]] - tolerance;
        if (hidden || in_padding(pixels[k], height, width)) weights[k] = 0;
    }
}

// One thread per point (B * N). Raises zbuffer (B, H + 2, W + 2) to the point's disparity at its
// nearest pixel. Threads race for a pixel; the largest wins whatever their order.
extern "C" __global__ void largest_disparity(
        const float* points, const double* focal_px, const double* baseline, int batch,
        long long count, int height, int width, float* zbuffer) {
    long long t = thread_index();
    if (t >= batch * count) return;
    int b = (int)(t / count);
    Projected p = project(points, count, b, t % count, focal_px, baseline, height, width);
    if (!p.seen) return;
    int pixel = nearest(p, width + 2);
    if (in_padding(pixel, height, width)) return;
    keep_largest(zbuffer + (long long)b * (height + 2) * (width + 2) + pixel, p.disparity);
}

// One thread per pixel (B * H * W). Reads a padded zbuffer, writes the same pixel of a copy pulled
// up to the mean of opposite neighbours in front of it. The padding of `closed` is not written.
extern "C" __global__ void degrid(const float* zbuffer, int batch, int height, int width,
                                  float tolerance, float* closed) {
    long long t = thread_index();
    if (t >= (long long)batch * height * width) return;
    int stride = width + 2;
    long long b = t / ((long long)height * width);
    int y = (int)(t / width % height) + 1, x = (int)(t % width) + 1;
    long long pixel = b * (height + 2) * stride + (long long)y * stride + x;
    const int offsets[4] = {1, stride, stride + 1, 1 - stride};
    float here = zbuffer[pixel], limit = here + tolerance, total = 0, count = 0;
    for (int k = 0; k < 4; ++k) {
        float first = zbuffer[pixel + offsets[k]], second = zbuffer[pixel - offsets[k]];
        // One nearer neighbour is a silhouette, two opposite ones are a surface with a crack in it.
        if (first >= limit && second >= limit) {
            total += first + second;
            count += 2;
        }
    }
    float mean = total / fmaxf(count, 1.0f);
    closed[pixel] = fmaxf(here, mean);
}

// One thread per point (B * N). Adds features (B, C, N), weighted, to view (B, C, H, W) and the
// weights to coverage (B, H, W). Sums race: their last bits depend on the order of the threads.
extern "C" __global__ void splat(
        const float* points, const float* features, const double* focal_px,
        const double* baseline, int batch, int channels, long long count, int height, int width,
        float tolerance, const float* closed, float* view, float* coverage) {
    long long t = thread_index();
    if (t >= batch * count) return;
    int b = (int)(t / count);
    long long i = t % count, area = (long long)height * width;
    Projected p = project(points, count, b, i, focal_px, baseline, height, width);
    if (!p.seen) return;
    int pixels[4];
    float weights[4];
    closed += (long long)b * (height + 2) * (width + 2);
    weigh(p, closed, tolerance, height, width, pixels, weights);
    for (int k = 0; k < 4; ++k) {
        if (!(weights[k] > 0)) continue;
        long long pixel = unpadded(pixels[k], width);
        atomicAdd(coverage + b * area + pixel, weights[k]);
        for (int c = 0; c < channels; ++c) {
            long long plane = (long long)b * channels + c;
            atomicAdd(view + plane * area + pixel, features[plane * count + i] * weights[k]);
        }
    }
}

// One thread per pixel (B * H * W). Divides view by coverage in place; too little counts as nothing.
extern "C" __global__ void normalise(int batch, int channels, int height, int width,
                                     float* view, float* coverage) {
    long long t = thread_index(), area = (long long)height * width;
    if (t >= batch * area) return;
    float total = coverage[t];
    bool covered = total >= COVERAGE_THRESHOLD;
    if (!covered) coverage[t] = 0;
    for (int c = 0; c < channels; ++c) {
        float* value = view + (t / area * channels + c) * area + t % area;
        *value = covered ? *value / total : 0.0f;
    }
}

// One thread per point (B * N). The adjoint of splat: writes to grad_features (B, C, N) what the
// point's pixels hand back, with the weights it gave them. Nothing races.
extern "C" __global__ void gather(
        const float* points, const double* focal_px, const double* baseline, int batch,
        int channels, long long count, int height, int width, float tolerance,
        const float* closed, const float* coverage, const float* grad_view,
        float* grad_features) {
    long long t = thread_index();
    if (t >= batch * count) return;
    int b = (int)(t / count);
    long long i = t % count, area = (long long)height * width;
    Projected p = project(points, count, b, i, focal_px, baseline, height, width);
    int pixels[4] = {0, 0, 0, 0};
    float weights[4] = {0, 0, 0, 0};
    closed += (long long)b * (height + 2) * (width + 2);
    if (p.seen) weigh(p, closed, tolerance, height, width, pixels, weights);
    for (int c = 0; c < channels; ++c) {
        long long plane = (long long)b * channels + c;
        float total = 0;
        for (int k = 0; k < 4; ++k) {
            if (!(weights[k] > 0)) continue;
            long long pixel = unpadded(pixels[k], width);
            float sum = coverage[b * area + pixel];
            if (sum > 0) total += weights[k] * (grad_view[plane * area + pixel] / sum);
        }
        grad_features[plane * count + i] = total;
    }
}

// One thread per point (B * N). Lowers winners (B, H + 2, W + 2) to (key, index), so that the
// smallest key wins and equal keys go to the smaller index, whatever the order of the threads.
extern "C" __global__ void nearest_points(
        const float* points, const double* focal_px, const double* baseline, int batch,
        long long count, int height, int width, unsigned long long* winners) {
    long long t = thread_index();
    if (t >= batch * count) return;
    int b = (int)(t / count);
    Projected p = project(points, count, b, t % count, focal_px, baseline, height, width);
    if (!p.seen) return;
    int pixel = nearest(p, width + 2);
    if (in_padding(pixel, height, width)) return;
    // Flip the bits so that floats of either sign sort like unsigned numbers.
    unsigned int bits = (unsigned int)__float_as_int(p.key);
    bits ^= bits >> 31 ? 0xffffffffu : 0x80000000u;
    unsigned long long candidate = (unsigned long long)bits << 32 | (unsigned int)(t % count);
    atomicMin(winners + (long long)b * (height + 2) * (width + 2) + pixel, candidate);
}

// One thread per padded pixel. Sets mask (B, N) to 1 for its winner; each point wins at most once.
extern "C" __global__ void mark_winners(const unsigned long long* winners, int batch,
                                        long long count, int height, int width, float* mask) {
    long long t = thread_index(), padded = (long long)(height + 2) * (width + 2);
    if (t >= batch * padded) return;
    if (winners[t] != ~0ull) mask[t / padded * count + (unsigned int)winners[t]] = 1.0f;
}
