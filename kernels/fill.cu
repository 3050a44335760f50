// fill_disocclusion: which known pixel each hole takes its value from. Twin: cpu_fill.py.
// `known` and `sources` are (B, H, W); a source is an index into its own sample's plane.

#include "common.cuh"

#define UNRESOLVED -1

// Steps from (x, y) along (dx, dy) to the first known pixel; 0 if the frame or the limit ends first.
__device__ inline int walk(const unsigned char* known, int height, int width, int x, int y,
                           float dx, float dy, int limit, int* end_x, int* end_y) {
    float px = 0, py = 0;
    for (int k = 1; k <= limit; ++k) {
        px += dx;
        py += dy;
        // Halves away from zero: rint() would round them to even and meet other pixels.
        int cx = x + (int)copysignf(floorf(fabsf(px) + 0.5f), px);
        int cy = y + (int)copysignf(floorf(fabsf(py) + 0.5f), py);
        if (cx < 0 || cx >= width || cy < 0 || cy >= height) return 0;
        if (known[(long long)cy * width + cx]) {
            *end_x = cx;
            *end_y = cy;
            return k;
        }
    }
    return 0;
}

// Nearness of a known pixel in a padded plane; where it is 0, that of its nearest neighbour.
__device__ inline float nearness_at(const float* nearness, int x, int y, int width) {
    const float* center = nearness + (long long)(y + 1) * (width + 2) + x + 1;
    float value = *center;
    if (value == 0)
        for (int row = -1; row <= 1; ++row)
            for (int column = -1; column <= 1; ++column)
                value = fmaxf(value, center[row * (width + 2) + column]);
    return value;
}

// One thread per pixel (B * H * W). Known pixels are their own source; a hole gets the farther end
// of its shortest line, or UNRESOLVED, which is counted. units: (16, 2) directions of length one.
extern "C" __global__ void find_lines(const unsigned char* known, const float* nearness,
                                      const float* units, int batch, int height, int width,
                                      int* sources, int* unresolved) {
    long long t = thread_index(), area = (long long)height * width;
    if (t >= batch * area) return;
    long long b = t / area;
    int x = (int)(t % width), y = (int)(t / width % height);
    sources[t] = (int)(t % area);
    if (known[t]) return;
    known += b * area;
    nearness += b * (height + 2) * (width + 2);
    long long best = 1ll << 40;
    int longest = height + width, ends[4], found[4];
    for (int d = 0; d < 16; ++d) {
        float dx = units[2 * d], dy = units[2 * d + 1];
        // Rounding shortens a line by less than two steps, so longer ones cannot win.
        int back = walk(known, height, width, x, y, -dx, -dy, longest + 1, ends, ends + 1);
        if (!back) continue;
        int limit = longest + 2 - back;
        if (!walk(known, height, width, x, y, dx, dy, limit, ends + 2, ends + 3)) continue;
        long long across = ends[2] - ends[0], along = ends[3] - ends[1];
        long long squared = across * across + along * along;
        if (squared < best) {
            best = squared;
            longest = (int)sqrt((double)best) + 1;
            for (int k = 0; k < 4; ++k) found[k] = ends[k];
        }
    }
    if (best == 1ll << 40) {
        sources[t] = UNRESOLVED;
        atomicAdd(unresolved, 1);
        return;
    }
    float behind = nearness_at(nearness, found[0], found[1], width);
    float before = nearness_at(nearness, found[2], found[3], width);
    // What was uncovered belongs to what is behind (docs/method/inpainting.md, Filling).
    sources[t] = before < behind ? found[3] * width + found[2] : found[1] * width + found[0];
}

// One thread per column (B * W). Writes to rows (B, H, W) the row of the nearest known pixel in the
// column, -1 if there is none. Does nothing if every hole is resolved.
extern "C" __global__ void nearest_rows(const unsigned char* known, int batch, int height,
                                        int width, const int* unresolved, int* rows) {
    long long t = thread_index();
    if (t >= (long long)batch * width || !*unresolved) return;
    long long first = t / width * height * width + t % width;
    int row = -1;
    for (int y = 0; y < height; ++y) {
        if (known[first + (long long)y * width]) row = y;
        rows[first + (long long)y * width] = row;
    }
    row = -1;
    for (int y = height - 1; y >= 0; --y) {
        long long pixel = first + (long long)y * width;
        if (known[pixel]) row = y;
        if (row >= 0 && (rows[pixel] < 0 || row - y < y - rows[pixel])) rows[pixel] = row;
    }
}

// One thread per pixel (B * H * W). Gives unresolved holes the nearest known pixel, if there is any.
extern "C" __global__ void find_nearest(const int* rows, int batch, int height, int width,
                                        const int* unresolved, int* sources) {
    long long t = thread_index(), area = (long long)height * width;
    if (t >= batch * area || !*unresolved || sources[t] != UNRESOLVED) return;
    int x = (int)(t % width), y = (int)(t / width % height);
    rows += t / area * area + (long long)y * width;
    long long best = 1ll << 40;
    sources[t] = (int)(t % area);
    for (long long dx = 0; dx < width && dx * dx < best; ++dx)
        for (int side = -1; side <= 1; side += 2) {
            long long column = x + side * dx;
            if (column < 0 || column >= width || rows[column] < 0) continue;
            long long dy = rows[column] - y;
            if (dx * dx + dy * dy >= best) continue;
            best = dx * dx + dy * dy;
            sources[t] = (int)(rows[column] * width + column);
        }
}

// One thread per pixel of one frame (H, W, 3) of 8-bit colours: copies the source's colour.
extern "C" __global__ void copy_colors(const int* sources, long long area, unsigned char* frame) {
    long long t = thread_index();
    if (t >= area || sources[t] == t) return;
    for (int c = 0; c < 3; ++c) frame[3 * t + c] = frame[3ll * sources[t] + c];
}
