// Attention of prompt parts.

#define TILE 64
#define PITCH (HEAD_DIM + 8)

// Eight keys or values as the tensor cores take them; e4m3 fits exactly into both formats of 16 bits.
__device__ __forceinline__ uint4 halves_of(const cached8& packed) {
#if KV8
    float eight[8];
    unpack_cached(packed, eight);
    return make_uint4(pack(eight[0], eight[1]), pack(eight[2], eight[3]), pack(eight[4], eight[5]),
                      pack(eight[6], eight[7]));
#else
    return packed;
#endif
}

// Prompt parts over their earlier tokens and themselves, which are in the cache already. A tile is up to 64 new tokens
// of one request: its first row, its rows, the position of the first, the request. A warp has 16 of the rows.
// Grid: (tiles, query heads); 128 threads.
extern "C" __global__ void __launch_bounds__(128) prefill_attention(
    u16* out, const u16* qkv, const cached* k_cache, const cached* v_cache, const int* tables, const int* tiles,
    int width, int q_heads, int kv_heads, float scale, float kv_scale) {
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
        for (int i = threadIdx.x; i < TILE * (HEAD_DIM / 8); i += 128) {
            int r = i / (HEAD_DIM / 8), c = i % (HEAD_DIM / 8);
            uint4 key = make_uint4(0, 0, 0, 0), value = key;
            if (start + r < end) {
                u64 at = cache_row(table, start + r, kv_heads, kv_head) + c * 8;
                key = halves_of(*(const cached8*)(k_cache + at));
                value = halves_of(*(const cached8*)(v_cache + at));
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
            *(u32*)(out + at + n * 8) = pack(o[n][2 * h] * kv_scale / total[h], o[n][2 * h + 1] * kv_scale / total[h]);
    }
}
