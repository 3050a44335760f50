// render_frame: one 8-bit frame of a film. Twin: cpu_frame.py, which explains the method. Sums are
// whole numbers, so they do not depend on the order of the threads: the frame has the same bytes
// in every run, and those of the CPU. A pixel has two words (P, 2), red and green in the halves of
// one, blue and the weight in those of the other. Where more points meet than a half can count,
// `crowded` says so, and the frame is summed again in four words (P, 4).

#include "common.cuh"

typedef unsigned long long word;

#define LOW_HALF 0xffffffffull

struct Camera {
    float shift_x, shift_y, shift_z, focal_px, disparity_scale, lens_x, lens_y;
    int height, width;
};

struct Surfel {
    float x, y;         // padded pixel coordinates
    float key, spread;  // disparity; half-width of the footprint, px
};

// Padded coordinate of a point along one axis; false if it is out of reach or not a number.
__device__ inline bool place(float coordinate, float shift, float lens, float scale, int length,
                             float margin, float* position) {
    float center = 0.5f * (float)length + 0.5f + lens, end = (float)length + 1.0f;
    *position = (coordinate + shift) * scale + center;
    return *position > -margin && *position < end + margin;
}

// Point i of points (3, N); false if it is dropped. spacing (N,) may be null.
__device__ inline bool project(const float* points, const float* spacing, long long count,
                               long long i, const Camera& camera, float reach, Surfel* surfel) {
    float z = points[2 * count + i] + camera.shift_z;
    if (!(z >= NEAR_PLANE && z < INFINITE)) return false;
    surfel->key = camera.disparity_scale / z;
    float scale = surfel->key * (camera.focal_px / camera.disparity_scale);
    surfel->spread = 1.0f;
    if (spacing) {
        float spread = spacing[i] * scale;
        if (spread > GROW_FROM) surfel->spread = fminf(spread, WIDEST_FOOTPRINT);
    }
    float margin = surfel->spread - 1.0f + reach;
    return place(points[i], camera.shift_x, camera.lens_x, scale, camera.width, margin,
                 &surfel->x) &&
           place(points[count + i], camera.shift_y, camera.lens_y, scale, camera.height, margin,
                 &surfel->y);
}

// First pixel within reach and the one after the last, inside the frame.
__device__ inline void span(float position, float reach, int length, int* first, int* last) {
    *first = max((int)ceilf(position - reach), 1);
    *last = min((int)floorf(position + reach), length) + 1;
}

// One thread per point (N). Raises zbuffer (H + 2, W + 2) to the point's disparity, at its nearest
// pixel or over half its spacing. Threads race for a pixel; the largest wins in any order.
extern "C" __global__ void frame_zbuffer(
        const float* points, const float* spacing, long long count, float shift_x, float shift_y,
        float shift_z, float focal_px, float disparity_scale, float lens_x, float lens_y,
        int height, int width, float* zbuffer) {
    long long i = thread_index();
    if (i >= count) return;
    Camera camera = {shift_x, shift_y, shift_z, focal_px, disparity_scale, lens_x, lens_y,
                     height, width};
    Surfel p;
    if (!project(points, spacing, count, i, camera, 0.5f, &p)) return;
    int stride = width + 2;
    if (p.spread == 1.0f) {
        int pixel = (int)(p.y + 0.5f) * stride + (int)(p.x + 0.5f);
        if (p.key > now(zbuffer + pixel)) keep_largest(zbuffer + pixel, p.key);
        return;
    }
    int first_x, last_x, first_y, last_y;
    // Half the way to the neighbours, who cover the other half (docs/method/rendering.md).
    span(p.x, 0.5f * p.spread + OVERLAP, width, &first_x, &last_x);
    span(p.y, 0.5f * p.spread + OVERLAP, height, &first_y, &last_y);
    for (int y = first_y; y < last_y; ++y)
        for (int x = first_x; x < last_x; ++x) keep_largest(zbuffer + y * stride + x, p.key);
}

// Adds a weighted colour to a pixel of sums (P, 2), or (P, 4) if `crowded` is null. The additions to
// one word have an order, whatever it is, and no half has spilled before the first one that reaches
// FULL: that one sees what it needs to tell, so `crowded` misses nothing.
__device__ inline void add(word* sums, long long pixel, word weight, word red_green,
                           word blue_one, int* crowded) {
    if (crowded) {
        atomicAdd(sums + 2 * pixel, red_green * weight);
        word more = blue_one * weight, before = atomicAdd(sums + 2 * pixel + 1, more);
        if (before < FULL && before + more >= FULL) atomicMax(crowded, 1);
        return;
    }
    const word parts[4] = {red_green & LOW_HALF, red_green >> 32, blue_one & LOW_HALF, 1};
    for (int k = 0; k < 4; ++k) atomicAdd(sums + 4 * pixel + k, parts[k] * weight);
}

// One thread per point (N). Adds its colour to the pixels of sums where it passes the depth
// test against closed (H + 2, W + 2): bilinearly, or as a tent that reaches to its neighbours.
extern "C" __global__ void frame_splat(
        const float* points, const unsigned char* colors, const float* spacing, long long count,
        float shift_x, float shift_y, float shift_z, float focal_px, float disparity_scale,
        float lens_x, float lens_y, int height, int width, const float* closed, word* sums,
        int* crowded) {
    long long i = thread_index();
    if (i >= count) return;
    Camera camera = {shift_x, shift_y, shift_z, focal_px, disparity_scale, lens_x, lens_y,
                     height, width};
    Surfel p;
    if (!project(points, spacing, count, i, camera, 0.0f, &p)) return;
    int stride = width + 2;
    float limit = p.key + TOLERANCE;
    word red_green = (word)colors[3 * i] | (word)colors[3 * i + 1] << 32;
    word blue_one = (word)colors[3 * i + 2] | 1ull << 32;
    if (p.spread == 1.0f) {
        int left = (int)p.x, top = (int)p.y, corner = top * stride + left;
        float right = p.x - (float)left, down = (p.y - (float)top) * WEIGHT_ONE;
        float up = WEIGHT_ONE - down;
        const float weights[4] = {(1.0f - right) * up, right * up, (1.0f - right) * down,
                                  right * down};
        for (int k = 0; k < 4; ++k) {
            int pixel = corner + (k & 1) + (k >> 1) * stride;
            if (limit >= closed[pixel])
                add(sums, pixel, (word)(int)(weights[k] + 0.5f), red_green, blue_one, crowded);
        }
        return;
    }
    int first_x, last_x, first_y, last_y;
    span(p.x, p.spread, width, &first_x, &last_x);
    span(p.y, p.spread, height, &first_y, &last_y);
    // The tents of points that lie `spread` px apart add up to one, as in bilinear enlargement.
    float slope = 1.0f / p.spread;
    for (int y = first_y; y < last_y; ++y) {
        float across = fmaxf(1.0f - fabsf((float)y - p.y) * slope, 0.0f) * WEIGHT_ONE;
        for (int x = first_x; x < last_x; ++x) {
            float weight = fmaxf(1.0f - fabsf((float)x - p.x) * slope, 0.0f) * across;
            if (limit >= closed[y * stride + x])
                add(sums, y * stride + x, (word)(int)(weight + 0.5f), red_green, blue_one,
                    crowded);
        }
    }
}

// The rounded mean of summed numbers of 24 bits as the three bytes of a pixel; twin: cpu_numbers.py.
__device__ inline void write_number(const word* bytes, word weight, unsigned char* pixel) {
    word total = (bytes[0] << 16) + (bytes[1] << 8) + bytes[2];
    word number = weight ? (total + (weight >> 1)) / weight : 0;
    for (int c = 0; c < 3; ++c) pixel[c] = (unsigned char)(number >> (16 - 8 * c));
}

// One thread per pixel (H * W). Divides sums (P, words) by their weights, rounds to frame (H, W, 3), and
// marks in holes and known (H, W) what got nothing. Nothing races.
extern "C" __global__ void frame_normalise(const word* sums, int words, int height, int width,
                                           int numbers, unsigned char* frame,
                                           unsigned char* holes, unsigned char* known) {
    long long t = thread_index();
    if (t >= (long long)height * width) return;
    long long pixel = (t / width + 1) * (width + 2) + t % width + 1;
    const word* own = sums + words * pixel;
    word totals[4];  // red, green, blue, weight
    for (int k = 0; k < 4; ++k)
        totals[k] = words == 4 ? own[k] : k % 2 ? own[k / 2] >> 32 : own[k / 2] & LOW_HALF;
    float weight = (float)totals[3];
    bool hole = weight < ceilf(COVERAGE_THRESHOLD * WEIGHT_ONE);
    float inverse = hole ? 0.0f : 1.0f / weight;
    if (numbers)
        write_number(totals, hole ? 0 : totals[3], frame + 3 * t);
    else
        for (int c = 0; c < 3; ++c)
            frame[3 * t + c] = (unsigned char)(int)((float)totals[c] * inverse + 0.5f);
    holes[t] = hole;
    known[t] = !hole;
}

// One thread per rim point (M), colors (M, 4). Adds it to layer (P, 5) where it stands in front of
// closed (H + 2, W + 2), and to the frame's own sums where that is its surface. Twin, and what
// the numbers mean: cpu_rims.py. Whole numbers: any order gives the same.
extern "C" __global__ void frame_rims(
        const float* points, const unsigned char* colors, const float* spacing, long long count,
        float shift_x, float shift_y, float shift_z, float focal_px, float disparity_scale,
        float lens_x, float lens_y, int height, int width, const float* closed, word* sums,
        int* crowded, word* layer) {
    long long i = thread_index();
    if (i >= count) return;
    float z = points[2 * count + i] + shift_z;
    if (!(z >= NEAR_PLANE && z < INFINITE)) return;
    float key = disparity_scale / z, scale = key * (focal_px / disparity_scale);
    float spacing_px = spacing[i] * scale;
    float spread = spacing_px > 1.0f ? fminf(spacing_px, WIDEST_FOOTPRINT) : 1.0f;
    float gain = spacing_px < 1.0f && spacing_px > 0.0f ? spacing_px * spacing_px : 1.0f;
    float x, y, margin = spread - 1.0f;
    if (!place(points[i], shift_x, lens_x, scale, width, margin, &x) ||
        !place(points[count + i], shift_y, lens_y, scale, height, margin, &y))
        return;
    int alpha = colors[4 * i + 3], stride = width + 2;
    float share = (float)min(alpha, RIM_FULL) * (1.0f / (float)RIM_FULL);
    word red_green = (word)colors[4 * i] | (word)colors[4 * i + 1] << 32;
    word blue_one = (word)colors[4 * i + 2] | 1ull << 32;
    int first_x, last_x, first_y, last_y;
    span(x, spread, width, &first_x, &last_x);
    span(y, spread, height, &first_y, &last_y);
    float slope = 1.0f / spread;
    for (int row = first_y; row < last_y; ++row) {
        float across = fmaxf(1.0f - fabsf((float)row - y) * slope, 0.0f) * (gain * WEIGHT_ONE);
        for (int column = first_x; column < last_x; ++column) {
            float weight = fmaxf(1.0f - fabsf((float)column - x) * slope, 0.0f) * across;
            if (weight < 0.5f) continue;
            long long pixel = (long long)row * stride + column;
            float before = key - closed[pixel];
            if (before > TOLERANCE) {
                word shown = (word)(long long)(weight * share + 0.5f);
                for (int c = 0; c < 3; ++c)
                    atomicAdd(layer + 5 * pixel + c, (word)colors[4 * i + c] * shown);
                atomicAdd(layer + 5 * pixel + 3, shown);
                atomicAdd(layer + 5 * pixel + 4, (word)(long long)(weight + 0.5f));
            } else if (before >= -TOLERANCE && alpha == RIM_FULL) {
                add(sums, pixel, (word)(long long)(weight + 0.5f), red_green, blue_one, crowded);
            }
        }
    }
}

// One thread per pixel (H * W). Lays layer (P, 5) over frame (H, W, 3); a hole that rims cover by
// half is none. Nothing races.
extern "C" __global__ void frame_compose(const word* layer, int height, int width, int numbers,
                                         unsigned char* frame, unsigned char* holes) {
    long long t = thread_index();
    if (t >= (long long)height * width) return;
    long long pixel = (t / width + 1) * (width + 2) + t % width + 1;
    const word* own = layer + 5 * pixel;
    float shown = (float)own[3], weight = (float)own[4];
    if (shown < ceilf(COVERAGE_THRESHOLD * WEIGHT_ONE)) return;
    if (numbers) {
        if (2 * own[3] < min(own[4], (word)WEIGHT_ONE)) return;
        write_number(own, own[3], frame + 3 * t);
        holes[t] = 0;
        return;
    }
    float share = fminf(shown / fminf(weight, WEIGHT_ONE), 1.0f);
    float inverse = share / shown, rest = 1.0f - share;
    for (int c = 0; c < 3; ++c)
        frame[3 * t + c] = (unsigned char)(int)((float)own[c] * inverse +
                                                (float)frame[3 * t + c] * rest + 0.5f);
    holes[t] = holes[t] && share < 0.5f;
}
