// The KV cache: what its numbers are, where a token lies in it, and how its keys and values get there.

// A key or a value, and eight of them.
#if KV8
typedef u8 cached;
typedef uint2 cached8;
#else
typedef u16 cached;
typedef uint4 cached8;
#endif

__device__ __forceinline__ void unpack_cached(const cached8& packed, float* eight) {
#if KV8
    unpack_fp8((u16)(packed.x & 0xffffu), eight);
    unpack_fp8((u16)(packed.x >> 16), eight + 2);
    unpack_fp8((u16)(packed.y & 0xffffu), eight + 4);
    unpack_fp8((u16)(packed.y >> 16), eight + 6);
#else
    unpack(packed, eight);
#endif
}

__device__ __forceinline__ u64 cache_row(const int* table, int token, int kv_heads, int kv_head) {
    u64 block = (u64)table[token / BLOCK_SIZE];
    return ((block * BLOCK_SIZE + token % BLOCK_SIZE) * kv_heads + kv_head) * HEAD_DIM;
}

// Rotates queries and keys by their position, halves of a head paired, and writes keys and values to the cache. Padding
// has request -1 and no place in the cache. Where they are not null, a row of queries and keys is still to be multiplied
// by `qk_scales`, one of values by `v_scales`. What is cached in e4m3, times `kv_scale`, is the key or value.
extern "C" __global__ void rope_and_cache(u16* qkv, const float* qk_scales, const float* v_scales, cached* k_cache,
                                          cached* v_cache, const int* positions, const int* requests,
                                          const int* tables, int width, int q_heads, int kv_heads, float log2_theta,
                                          float kv_scale) {
    int request = requests[blockIdx.x], position = positions[blockIdx.x];
    u16* row = qkv + (u64)blockIdx.x * (q_heads + 2 * kv_heads) * HEAD_DIM;
    u64 slot = 0;
    if (request >= 0) {
        u64 block = (u64)tables[(u64)request * width + position / BLOCK_SIZE];
        slot = (block * BLOCK_SIZE + position % BLOCK_SIZE) * kv_heads * HEAD_DIM;
    }
    float scale = qk_scales ? qk_scales[blockIdx.x] : 1.0f;
    for (int i = threadIdx.x; i < (q_heads + kv_heads) * (HEAD_DIM / 2); i += blockDim.x) {
        int head = i / (HEAD_DIM / 2), pair = i % (HEAD_DIM / 2);
        u16* x = row + head * HEAD_DIM + pair;
        float angle = (float)position * exp2f(-log2_theta * (float)(2 * pair) / (float)HEAD_DIM);
        float sine, cosine;
        sincosf(angle, &sine, &cosine);
        float a = to_float(x[0]) * scale, b = to_float(x[HEAD_DIM / 2]) * scale;
        u16 first = from_float(a * cosine - b * sine), second = from_float(b * cosine + a * sine);
        x[0] = first;
        x[HEAD_DIM / 2] = second;
        if (request >= 0 && head >= q_heads) {
            cached* key = k_cache + slot + (head - q_heads) * HEAD_DIM + pair;
#if KV8
            u16 both = pack_fp8(to_float(first) / kv_scale, to_float(second) / kv_scale);
            key[0] = (u8)(both & 0xff);
            key[HEAD_DIM / 2] = (u8)(both >> 8);
#else
            key[0] = first;
            key[HEAD_DIM / 2] = second;
#endif
        }
    }
    if (request < 0) return;
    const uint4* values = (const uint4*)(row + (q_heads + kv_heads) * HEAD_DIM);
    float v_scale = v_scales ? v_scales[blockIdx.x] : 1.0f;
    for (int i = threadIdx.x; i < kv_heads * HEAD_DIM / 8; i += blockDim.x) {
#if KV8
        float eight[8];
        unpack(values[i], eight);
        store_fp8(v_cache + slot + 8 * i, eight, v_scale / kv_scale);
#else
        uint4 value = values[i];
        if (v_scales) {
            float eight[8];
            unpack(value, eight);
            value = make_uint4(pack(eight[0] * v_scale, eight[1] * v_scale), pack(eight[2] * v_scale, eight[3] * v_scale),
                               pack(eight[4] * v_scale, eight[5] * v_scale), pack(eight[6] * v_scale, eight[7] * v_scale));
        }
        ((uint4*)(v_cache + slot))[i] = value;
#endif
    }
}
