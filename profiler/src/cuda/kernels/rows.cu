// ---- what surrounds a pass

// Between -1 and 1, the same for the same seed.
__device__ __forceinline__ float random_number(u64 i, u64 seed) {
    u64 z = (i + seed) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return (float)(u32)(z >> 40) * (2.0f / 16777216.0f) - 1.0f;
}

// Weights: uniform between -scale and scale.
extern "C" __global__ void fill_random(u16* out, u64 count, u64 seed, float scale) {
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (u64)gridDim.x * blockDim.x)
        out[i] = from_float(random_number(i, seed) * scale);
}

// Blocks of each request, scattered over the cache: request r has the blocks (starts[r] + j) * stride mod num_blocks.
// Grid: (blocks of the longest request / 128, requests).
extern "C" __global__ void fill_tables(int* tables, const int* starts, int width, u64 stride, u64 num_blocks) {
    int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j < width) {
        u64 logical = (u64)starts[blockIdx.y] + (u64)j;
        tables[(u64)blockIdx.y * width + j] = (int)(logical % num_blocks * stride % num_blocks);
    }
}

// ---- what is neither attention nor a matrix product; one block of threads for each row

extern "C" __global__ void embed(u16* out, const u16* table, const int* ids, int hidden) {
    const uint4* from = (const uint4*)(table + (u64)ids[blockIdx.x] * hidden);
    uint4* to = (uint4*)(out + (u64)blockIdx.x * hidden);
    for (int i = threadIdx.x; i < hidden / 8; i += blockDim.x) to[i] = from[i];
}

extern "C" __global__ void gather_rows(u16* out, const u16* in, const int* rows, int hidden) {
    const uint4* from = (const uint4*)(in + (u64)rows[blockIdx.x] * hidden);
    uint4* to = (uint4*)(out + (u64)blockIdx.x * hidden);
    for (int i = threadIdx.x; i < hidden / 8; i += blockDim.x) to[i] = from[i];
}

// residual += in, if there is one; returns 1 / sqrt(mean of squares + eps) of the row's sum. Where `scales` is not null,
// a row of `in` is still to be multiplied by its scale. At most 1024 threads.
__device__ __forceinline__ float add_and_norm(u16* residual, const u16* in, const float* scales, u64 row, int hidden,
                                              float eps) {
    __shared__ float of_warps[32];
    float scale = scales ? scales[blockIdx.x] : 1.0f, squares = 0.0f;
    for (int i = 2 * threadIdx.x; i < hidden; i += 2 * blockDim.x) {
        u32 x = in ? *(const u32*)(in + row + i) : 0, r = *(const u32*)(residual + row + i);
        u32 sum = pack(to_float((u16)x) * scale + to_float((u16)r),
                       to_float((u16)(x >> 16)) * scale + to_float((u16)(r >> 16)));
        *(u32*)(residual + row + i) = sum;
        float low = to_float((u16)sum), high = to_float((u16)(sum >> 16));
        squares += low * low + high * high;
    }
    squares = sum_of_warp(squares);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = squares;
    __syncthreads();
    float total = 0.0f;
    for (int warp = 0; warp < (int)blockDim.x / 32; warp++) total += of_warps[warp];
    return rsqrtf(total / (float)hidden + eps);
}

// out = the row of the residual stream, after adding, normed and times the weights.
extern "C" __global__ void add_rms_norm(u16* out, u16* residual, const u16* in, const float* scales, const u16* weight,
                                        int hidden, float eps) {
    u64 row = (u64)blockIdx.x * hidden;
    float factor = add_and_norm(residual, in, scales, row, hidden, eps);
    for (int i = 2 * threadIdx.x; i < hidden; i += 2 * blockDim.x) {
        u32 r = *(const u32*)(residual + row + i), w = *(const u32*)(weight + i);
        *(u32*)(out + row + i) = pack(to_float((u16)r) * factor * to_float((u16)w),
                                      to_float((u16)(r >> 16)) * factor * to_float((u16)(w >> 16)));
    }
}

// Norm of each query and key head by itself, times its row's scale before where `scales` is not null. Grid: (rows, query
// and key heads); one warp.
extern "C" __global__ void qk_norm(u16* qkv, const float* scales, const u16* q_weight, const u16* k_weight, int q_heads,
                                   int kv_heads, float eps) {
    int head = blockIdx.y;
    u16* x = qkv + ((u64)blockIdx.x * (q_heads + 2 * kv_heads) + head) * HEAD_DIM;
    const u16* weight = head < q_heads ? q_weight : k_weight;
    float scale = scales ? scales[blockIdx.x] : 1.0f, squares = 0.0f;
    for (int i = threadIdx.x; i < HEAD_DIM; i += 32) squares += to_float(x[i]) * to_float(x[i]);
    float factor = rsqrtf(scale * scale * sum_of_warp(squares) / (float)HEAD_DIM + eps) * scale;
    for (int i = threadIdx.x; i < HEAD_DIM; i += 32) x[i] = from_float(to_float(x[i]) * factor * to_float(weight[i]));
}

// silu(gate) * up of eight numbers of a row [gate][up], which is multiplied by `scale` before.
__device__ __forceinline__ void activate(const u16* row, int i, int intermediate, float scale, float* eight) {
    float up[8];
    unpack(*(const uint4*)(row + i), eight);
    unpack(*(const uint4*)(row + intermediate + i), up);
#pragma unroll
    for (int j = 0; j < 8; j++) {
        float gate = eight[j] * scale;
        eight[j] = gate / (1.0f + exp2f(-1.44269504f * gate)) * (up[j] * scale);
    }
}

// out = silu(gate) * up, for rows [gate][up]. Grid: (rows, intermediate / 2048).
extern "C" __global__ void silu_and_mul(u16* out, const u16* gate_up, int intermediate) {
    int i = 8 * (blockIdx.y * blockDim.x + threadIdx.x);
    if (i >= intermediate) return;
    float eight[8];
    u32 packed[4];
    activate(gate_up + (u64)blockIdx.x * 2 * intermediate, i, intermediate, 1.0f, eight);
#pragma unroll
    for (int j = 0; j < 4; j++) packed[j] = pack(eight[2 * j], eight[2 * j + 1]);
    *(uint4*)(out + (u64)blockIdx.x * intermediate + i) = make_uint4(packed[0], packed[1], packed[2], packed[3]);
}

// The place of the largest number of each row, the first of equals. 1024 threads.
extern "C" __global__ void argmax(int* out, const u16* logits, int vocab) {
    __shared__ float values[1024];
    __shared__ int places[1024];
    const u16* row = logits + (u64)blockIdx.x * vocab;
    float best = -INFINITY_F;
    int place = 0;
    for (int i = 8 * threadIdx.x; i < vocab; i += 8 * blockDim.x) {
        float eight[8];
        unpack(*(const uint4*)(row + i), eight);
#pragma unroll
        for (int j = 0; j < 8; j++)
            if (eight[j] > best) {
                best = eight[j];
                place = i + j;
            }
    }
    values[threadIdx.x] = best;
    places[threadIdx.x] = place;
    __syncthreads();
    for (int half = 512; half > 0; half >>= 1) {
        if ((int)threadIdx.x < half) {
            int other = threadIdx.x + half;
            bool wins = values[other] > values[threadIdx.x]
                || (values[other] == values[threadIdx.x] && places[other] < places[threadIdx.x]);
            if (wins) {
                values[threadIdx.x] = values[other];
                places[threadIdx.x] = places[other];
            }
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = places[0];
}
