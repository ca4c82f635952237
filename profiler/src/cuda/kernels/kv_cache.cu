// The KV cache: where a token lies in it, and how its keys and values get there.

__device__ __forceinline__ u64 cache_row(const int* table, int token, int kv_heads, int kv_head) {
    u64 block = (u64)table[token / BLOCK_SIZE];
    return ((block * BLOCK_SIZE + token % BLOCK_SIZE) * kv_heads + kv_head) * HEAD_DIM;
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
