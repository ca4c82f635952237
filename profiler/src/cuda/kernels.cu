// The operators of a decoder that are no matrix product, compiled by NVRTC when the engine starts.
//
// Defined from outside: HEAD_DIM (64 or 128), GROUP (query heads per key head, at most 8), BLOCK_SIZE (tokens per KV
// block), FP16 (1 for float16, 0 for bfloat16). Needs compute capability 8.0 and no header.
//
// Numbers are 16 bits wide in memory and single precision in registers. A row is a token. The KV cache of a layer is
// [block][token of the block][key head][HEAD_DIM], once for keys and once for values; the row of queries, keys and
// values is [query heads][key heads][key heads][HEAD_DIM].

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EVERY_LANE 0xffffffffu
#define INFINITY_F __int_as_float(0x7f800000)

// ---- what a processor has otherwise; `tests/kernels` puts its own in the place

#ifndef EMULATED

__device__ __forceinline__ float to_float(u16 x) {
#if FP16
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(x));
    return f;
#else
    return __uint_as_float((u32)x << 16);
#endif
}

// Two numbers in one register, `low` at the lower address.
__device__ __forceinline__ u32 pack(float low, float high) {
    u32 packed;
#if FP16
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
#else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
#endif
    return packed;
}

__device__ __forceinline__ void load_matrices(u32* r, const u16* row) {
    u32 address = (u32)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}

__device__ __forceinline__ void load_matrices_transposed(u32* r, const u16* row) {
    u32 address = (u32)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}

// c += a b, for a of 16 x 16 and b of 16 x 8.
__device__ __forceinline__ void multiply_add(float* c, const u32* a, u32 b0, u32 b1) {
#if FP16
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

#endif

// ---- numbers

__device__ __forceinline__ u16 from_float(float f) { return (u16)(pack(f, 0.0f) & 0xffffu); }

__device__ __forceinline__ void unpack(const uint4& packed, float* eight) {
    const u32 words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        eight[2 * i] = to_float((u16)(words[i] & 0xffffu));
        eight[2 * i + 1] = to_float((u16)(words[i] >> 16));
    }
}

__device__ __forceinline__ float sum_of_warp(float x) {
    for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(EVERY_LANE, x, offset);
    return x;
}

// ---- what surrounds a pass

// Weights: uniform between -scale and scale, the same for the same seed.
extern "C" __global__ void fill_random(u16* out, u64 count, u64 seed, float scale) {
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (u64)gridDim.x * blockDim.x) {
        u64 z = (i + seed) * 0x9e3779b97f4a7c15ull;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        z ^= z >> 31;
        out[i] = from_float(((float)(u32)(z >> 40) * (2.0f / 16777216.0f) - 1.0f) * scale);
    }
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

// residual += in, if there is one; out = residual / sqrt(mean of squares + eps) * weight. 256 threads.
extern "C" __global__ void add_rms_norm(u16* out, u16* residual, const u16* in, const u16* weight, int hidden,
                                        float eps) {
    __shared__ float of_warps[8];
    u64 row = (u64)blockIdx.x * hidden;
    float squares = 0.0f;
    for (int i = 2 * threadIdx.x; i < hidden; i += 2 * blockDim.x) {
        u32 x = in ? *(const u32*)(in + row + i) : 0, r = *(const u32*)(residual + row + i);
        u32 sum = pack(to_float((u16)x) + to_float((u16)r), to_float((u16)(x >> 16)) + to_float((u16)(r >> 16)));
        *(u32*)(residual + row + i) = sum;
        float low = to_float((u16)sum), high = to_float((u16)(sum >> 16));
        squares += low * low + high * high;
    }
    squares = sum_of_warp(squares);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = squares;
    __syncthreads();
    float total = 0.0f;
    for (int warp = 0; warp < (int)blockDim.x / 32; warp++) total += of_warps[warp];
    float factor = rsqrtf(total / (float)hidden + eps);
    for (int i = 2 * threadIdx.x; i < hidden; i += 2 * blockDim.x) {
        u32 r = *(const u32*)(residual + row + i), w = *(const u32*)(weight + i);
        *(u32*)(out + row + i) = pack(to_float((u16)r) * factor * to_float((u16)w),
                                      to_float((u16)(r >> 16)) * factor * to_float((u16)(w >> 16)));
    }
}

// Norm of each query and key head by itself. Grid: (rows, query and key heads); one warp.
extern "C" __global__ void qk_norm(u16* qkv, const u16* q_weight, const u16* k_weight, int q_heads, int kv_heads,
                                   float eps) {
    int head = blockIdx.y;
    u16* x = qkv + ((u64)blockIdx.x * (q_heads + 2 * kv_heads) + head) * HEAD_DIM;
    const u16* weight = head < q_heads ? q_weight : k_weight;
    float squares = 0.0f;
    for (int i = threadIdx.x; i < HEAD_DIM; i += 32) squares += to_float(x[i]) * to_float(x[i]);
    float factor = rsqrtf(sum_of_warp(squares) / (float)HEAD_DIM + eps);
    for (int i = threadIdx.x; i < HEAD_DIM; i += 32) x[i] = from_float(to_float(x[i]) * factor * to_float(weight[i]));
}

// Rotates queries and keys by their position, halves of a head paired, and writes keys and values to the cache. Padding
// has request -1 and no place in the cache.
extern "C" __global__ void rope_and_cache(u16* qkv, u16* k_cache, u16* v_cache, const int* positions,
                                          const int* requests, const int* tables, int width, int q_heads, int kv_heads,
                                          float log2_theta) {
    int request = requests[blockIdx.x], position = positions[blockIdx.x];
    u16* row = qkv + (u64)blockIdx.x * (q_heads + 2 * kv_heads) * HEAD_DIM;
    u64 slot = 0;
    if (request >= 0) {
        u64 block = (u64)tables[(u64)request * width + position / BLOCK_SIZE];
        slot = (block * BLOCK_SIZE + position % BLOCK_SIZE) * kv_heads * HEAD_DIM;
    }
    for (int i = threadIdx.x; i < (q_heads + kv_heads) * (HEAD_DIM / 2); i += blockDim.x) {
        int head = i / (HEAD_DIM / 2), pair = i % (HEAD_DIM / 2);
        u16* x = row + head * HEAD_DIM + pair;
        float angle = (float)position * exp2f(-log2_theta * (float)(2 * pair) / (float)HEAD_DIM);
        float sine, cosine;
        sincosf(angle, &sine, &cosine);
        float a = to_float(x[0]), b = to_float(x[HEAD_DIM / 2]);
        u16 first = from_float(a * cosine - b * sine), second = from_float(b * cosine + a * sine);
        x[0] = first;
        x[HEAD_DIM / 2] = second;
        if (request >= 0 && head >= q_heads) {
            u16* key = k_cache + slot + (head - q_heads) * HEAD_DIM + pair;
            key[0] = first;
            key[HEAD_DIM / 2] = second;
        }
    }
    if (request < 0) return;
    const uint4* values = (const uint4*)(row + (q_heads + kv_heads) * HEAD_DIM);
    for (int i = threadIdx.x; i < kv_heads * HEAD_DIM / 8; i += blockDim.x) ((uint4*)(v_cache + slot))[i] = values[i];
}

// out = silu(gate) * up, for rows [gate][up]. Grid: (rows, intermediate / 2048).
extern "C" __global__ void silu_and_mul(u16* out, const u16* gate_up, int intermediate) {
    int i = 8 * (blockIdx.y * blockDim.x + threadIdx.x);
    if (i >= intermediate) return;
    const u16* row = gate_up + (u64)blockIdx.x * 2 * intermediate;
    float gate[8], up[8];
    unpack(*(const uint4*)(row + i), gate);
    unpack(*(const uint4*)(row + intermediate + i), up);
    u32 packed[4];
#pragma unroll
    for (int j = 0; j < 8; j++) gate[j] = gate[j] / (1.0f + exp2f(-1.44269504f * gate[j])) * up[j];
#pragma unroll
    for (int j = 0; j < 4; j++) packed[j] = pack(gate[2 * j], gate[2 * j + 1]);
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

// ---- attention

#define LANES (HEAD_DIM / 8)
#define TEAMS (128 / LANES)
#define AHEAD (GROUP > 4 ? 2 : 4)

__device__ __forceinline__ u64 cache_row(const int* table, int token, int kv_heads, int kv_head) {
    u64 block = (u64)table[token / BLOCK_SIZE];
    return ((block * BLOCK_SIZE + token % BLOCK_SIZE) * kv_heads + kv_head) * HEAD_DIM;
}

// One new token for each request, which are the first rows of the pass and the first requests of `tables`. A team of
// lanes reads one token of the context at a time, 16 bytes each lane, for all query heads of its key head; a block of
// threads has one part of a request's context. `partial` gets the sums that are not divided yet, `stats` the largest
// logit and the sum of exponentials, both as [request][query head][part]. Logits are in units of log 2.
// Grid: (parts, key heads, requests); 128 threads.
extern "C" __global__ void __launch_bounds__(128) decode_attention(
    float* partial, float* stats, const u16* qkv, const u16* k_cache, const u16* v_cache, const int* tables,
    const int* contexts, int width, int kv_heads, float scale) {
    __shared__ float sums[TEAMS][GROUP][HEAD_DIM];
    __shared__ float team_best[TEAMS][GROUP], team_total[TEAMS][GROUP];
    int part = blockIdx.x, num_parts = gridDim.x, kv_head = blockIdx.y, request = blockIdx.z;
    int lane = threadIdx.x % LANES, team = threadIdx.x / LANES;
    int context = contexts[request];
    int length = (context + num_parts - 1) / num_parts;
    length = (length + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
    int begin = part * length, end = min(begin + length, context);
    const int* table = tables + (u64)request * width;
    int q_heads = kv_heads * GROUP;
    float q[GROUP][8], sum[GROUP][8], best[GROUP], total[GROUP];
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
        u64 at = ((u64)request * (q_heads + 2 * kv_heads) + kv_head * GROUP + g) * HEAD_DIM + lane * 8;
        unpack(*(const uint4*)(qkv + at), q[g]);
        best[g] = -INFINITY_F;
        total[g] = 0.0f;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            q[g][i] *= scale;
            sum[g][i] = 0.0f;
        }
    }
    for (int base = begin; base < end; base += TEAMS * AHEAD) {
        uint4 keys[AHEAD], values[AHEAD];
        float logits[AHEAD][GROUP];
#pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            int token = base + a * TEAMS + team;
            keys[a] = values[a] = make_uint4(0, 0, 0, 0);
            if (token < end) {
                u64 at = cache_row(table, token, kv_heads, kv_head) + lane * 8;
                keys[a] = *(const uint4*)(k_cache + at);
                values[a] = *(const uint4*)(v_cache + at);
            }
        }
#pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            float key[8];
            unpack(keys[a], key);
            bool is_there = base + a * TEAMS + team < end;
#pragma unroll
            for (int g = 0; g < GROUP; g++) {
                float logit = 0.0f;
#pragma unroll
                for (int i = 0; i < 8; i++) logit += q[g][i] * key[i];
#pragma unroll
                for (int offset = LANES / 2; offset > 0; offset >>= 1)
                    logit += __shfl_xor_sync(EVERY_LANE, logit, offset);
                logits[a][g] = is_there ? logit : -INFINITY_F;
            }
        }
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
            float top = best[g];
#pragma unroll
            for (int a = 0; a < AHEAD; a++) top = fmaxf(top, logits[a][g]);
            // Before a team's first token there is nothing to rescale.
            float factor = best[g] == -INFINITY_F ? 0.0f : exp2f(best[g] - top);
            best[g] = top;
            total[g] *= factor;
#pragma unroll
            for (int i = 0; i < 8; i++) sum[g][i] *= factor;
#pragma unroll
            for (int a = 0; a < AHEAD; a++) {
                logits[a][g] = logits[a][g] == -INFINITY_F ? 0.0f : exp2f(logits[a][g] - top);
                total[g] += logits[a][g];
            }
        }
#pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            float value[8];
            unpack(values[a], value);
#pragma unroll
            for (int g = 0; g < GROUP; g++)
#pragma unroll
                for (int i = 0; i < 8; i++) sum[g][i] += logits[a][g] * value[i];
        }
    }
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
#pragma unroll
        for (int i = 0; i < 8; i++) sums[team][g][lane * 8 + i] = sum[g][i];
        if (lane == 0) {
            team_best[team][g] = best[g];
            team_total[team][g] = total[g];
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < GROUP * HEAD_DIM; i += 128) {
        int g = i / HEAD_DIM, d = i % HEAD_DIM;
        float top = -INFINITY_F, whole = 0.0f, exponentials = 0.0f;
        for (int t = 0; t < TEAMS; t++) top = fmaxf(top, team_best[t][g]);
        for (int t = 0; t < TEAMS; t++) {
            float factor = team_best[t][g] == -INFINITY_F ? 0.0f : exp2f(team_best[t][g] - top);
            whole += factor * sums[t][g][d];
            exponentials += factor * team_total[t][g];
        }
        u64 at = ((u64)request * q_heads + kv_head * GROUP + g) * num_parts + part;
        partial[at * HEAD_DIM + d] = whole;
        if (d == 0) {
            stats[2 * at] = top;
            stats[2 * at + 1] = exponentials;
        }
    }
}

// Puts the parts of a context together. Grid: (query heads, requests); HEAD_DIM threads.
extern "C" __global__ void merge_parts(u16* out, const float* partial, const float* stats, int num_parts) {
    u64 head = (u64)blockIdx.y * gridDim.x + blockIdx.x;
    float top = -INFINITY_F, whole = 0.0f, exponentials = 0.0f;
    for (int part = 0; part < num_parts; part++) top = fmaxf(top, stats[2 * (head * num_parts + part)]);
    for (int part = 0; part < num_parts; part++) {
        u64 at = head * num_parts + part;
        float factor = stats[2 * at] == -INFINITY_F ? 0.0f : exp2f(stats[2 * at] - top);
        whole += factor * partial[at * HEAD_DIM + threadIdx.x];
        exponentials += factor * stats[2 * at + 1];
    }
    out[head * HEAD_DIM + threadIdx.x] = from_float(whole / exponentials);
}

#define TILE 64
#define PITCH (HEAD_DIM + 8)

// Prompt parts over their earlier tokens and themselves, which are in the cache already. A tile is up to 64 new tokens
// of one request: its first row, its rows, the position of the first, the request. A warp has 16 of the rows.
// Grid: (tiles, query heads); 128 threads.
extern "C" __global__ void __launch_bounds__(128) prefill_attention(
    u16* out, const u16* qkv, const u16* k_cache, const u16* v_cache, const int* tables, const int* tiles, int width,
    int q_heads, int kv_heads, float scale) {
    __shared__ __align__(16) u16 keys[TILE * PITCH];
    __shared__ __align__(16) u16 values[TILE * PITCH];
    const int* tile = tiles + 4 * blockIdx.x;
    int first_row = tile[0], num_rows = tile[1], first_position = tile[2];
    const int* table = tables + (u64)tile[3] * width;
    int head = blockIdx.y, kv_head = head / GROUP;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    // Where the tensor cores want this lane's numbers: two rows, eight apart, and two columns.
    int row[2] = {warp * 16 + lane / 4, warp * 16 + lane / 4 + 8}, column = 2 * (lane % 4);
    u32 q[HEAD_DIM / 16][4];
#pragma unroll
    for (int k = 0; k < HEAD_DIM / 16; k++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int r = row[i % 2];
            u64 at = ((u64)(first_row + r) * (q_heads + 2 * kv_heads) + head) * HEAD_DIM + k * 16 + 8 * (i / 2) + column;
            q[k][i] = r < num_rows ? *(const u32*)(qkv + at) : 0;
        }
    float o[HEAD_DIM / 8][4], best[2] = {-INFINITY_F, -INFINITY_F}, total[2] = {0.0f, 0.0f};
#pragma unroll
    for (int n = 0; n < HEAD_DIM / 8; n++) o[n][0] = o[n][1] = o[n][2] = o[n][3] = 0.0f;
    int end = first_position + num_rows, matrix = lane / 8, of_matrix = lane % 8;
    for (int start = 0; start < end; start += TILE) {
        __syncthreads();
        for (int i = threadIdx.x; i < TILE * LANES; i += 128) {
            int r = i / LANES, c = i % LANES;
            uint4 key = make_uint4(0, 0, 0, 0), value = key;
            if (start + r < end) {
                u64 at = cache_row(table, start + r, kv_heads, kv_head) + c * 8;
                key = *(const uint4*)(k_cache + at);
                value = *(const uint4*)(v_cache + at);
            }
            *(uint4*)(keys + r * PITCH + c * 8) = key;
            *(uint4*)(values + r * PITCH + c * 8) = value;
        }
        __syncthreads();
        float s[TILE / 8][4];
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f;
#pragma unroll
        for (int k = 0; k < HEAD_DIM / 16; k++)
#pragma unroll
            for (int n = 0; n < TILE / 16; n++) {
                u32 b[4];
                load_matrices(b, keys + (n * 16 + (matrix / 2) * 8 + of_matrix) * PITCH + k * 16 + (matrix % 2) * 8);
                multiply_add(s[2 * n], q[k], b[0], b[1]);
                multiply_add(s[2 * n + 1], q[k], b[2], b[3]);
            }
        float top[2] = {best[0], best[1]};
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                bool is_seen = start + n * 8 + column + i % 2 <= first_position + row[i / 2];
                s[n][i] = is_seen ? s[n][i] * scale : -INFINITY_F;
                top[i / 2] = fmaxf(top[i / 2], s[n][i]);
            }
#pragma unroll
        for (int h = 0; h < 2; h++) {
            top[h] = fmaxf(top[h], __shfl_xor_sync(EVERY_LANE, top[h], 1));
            top[h] = fmaxf(top[h], __shfl_xor_sync(EVERY_LANE, top[h], 2));
            // Token 0 is seen by every row, so the largest logit is a number from the first tile on.
            float factor = exp2f(best[h] - top[h]);
            best[h] = top[h];
            total[h] *= factor;
#pragma unroll
            for (int n = 0; n < HEAD_DIM / 8; n++) {
                o[n][2 * h] *= factor;
                o[n][2 * h + 1] *= factor;
            }
        }
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                s[n][i] = exp2f(s[n][i] - best[i / 2]);
                total[i / 2] += s[n][i];
            }
#pragma unroll
        for (int k = 0; k < TILE / 16; k++) {
            u32 p[4] = {pack(s[2 * k][0], s[2 * k][1]), pack(s[2 * k][2], s[2 * k][3]),
                        pack(s[2 * k + 1][0], s[2 * k + 1][1]), pack(s[2 * k + 1][2], s[2 * k + 1][3])};
#pragma unroll
            for (int n = 0; n < HEAD_DIM / 16; n++) {
                u32 b[4];
                load_matrices_transposed(
                    b, values + (k * 16 + (matrix % 2) * 8 + of_matrix) * PITCH + n * 16 + (matrix / 2) * 8);
                multiply_add(o[2 * n], p, b[0], b[1]);
                multiply_add(o[2 * n + 1], p, b[2], b[3]);
            }
        }
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        total[h] += __shfl_xor_sync(EVERY_LANE, total[h], 1);
        total[h] += __shfl_xor_sync(EVERY_LANE, total[h], 2);
        if (row[h] >= num_rows) continue;
        u64 at = ((u64)(first_row + row[h]) * q_heads + head) * HEAD_DIM + column;
#pragma unroll
        for (int n = 0; n < HEAD_DIM / 8; n++)
            *(u32*)(out + at + n * 8) = pack(o[n][2 * h] / total[h], o[n][2 * h + 1] / total[h]);
    }
}
