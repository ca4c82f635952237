// Attention of requests that have one new token.

#define LANES (HEAD_DIM / 8)
#define TEAMS (128 / LANES)
// Tokens that a team loads before it computes: the same bytes for both widths of the cache's numbers.
#define AHEAD ((GROUP > 4 ? 2 : 4) * (KV8 ? 2 : 1))

// One new token for each request, which are the first rows of the pass and the first requests of `tables`. A team of
// lanes reads one token of the context at a time, eight numbers each lane, for all query heads of its key head; a block of
// threads has one part of a request's context. `partial` gets the sums that are not divided yet, `stats` the largest
// logit and the sum of exponentials, both as [request][query head][part]. Logits are in units of log 2;
// `scale` has the keys' scale in it.
// Grid: (parts, key heads, requests); 128 threads.
extern "C" __global__ void __launch_bounds__(128) decode_attention(
    float* partial, float* stats, const u16* qkv, const cached* k_cache, const cached* v_cache, const int* tables,
    const int* contexts, int width, int kv_heads, float scale, float kv_scale) {
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
        cached8 keys[AHEAD], values[AHEAD];
        float logits[AHEAD][GROUP];
#pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            int token = base + a * TEAMS + team;
            keys[a] = values[a] = cached8{};
            if (token < end) {
                u64 at = cache_row(table, token, kv_heads, kv_head) + lane * 8;
                keys[a] = *(const cached8*)(k_cache + at);
                values[a] = *(const cached8*)(v_cache + at);
            }
        }
#pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            float key[8];
            unpack_cached(keys[a], key);
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
            unpack_cached(values[a], value);
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
        partial[at * HEAD_DIM + d] = whole * kv_scale;
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
