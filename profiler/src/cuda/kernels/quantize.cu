// Rows in e4m3 for products in 8 bits, each with a scale of its own: what a row is, is `out` times its scale. The products
// know nothing of the rows' scales; who reads a product multiplies by them.
//
// vLLM's compiled model quantises within the kernel that norms and within the activation's, and in one of its own after
// attention; so does this.

#if FP8

#define FP8_MAX 448.0f

// The largest of all threads' numbers that are not negative. At most 1024 threads.
__device__ __forceinline__ float max_of_block(float x) {
    __shared__ float of_warps[32];
    for (int offset = 16; offset > 0; offset >>= 1) x = fmaxf(x, __shfl_xor_sync(EVERY_LANE, x, offset));
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = x;
    __syncthreads();
    float largest = 0.0f;
    for (int warp = 0; warp < (int)blockDim.x / 32; warp++) largest = fmaxf(largest, of_warps[warp]);
    return largest;
}

// vLLM's scale of a row whose largest number is this; never 0.
__device__ __forceinline__ float scale_of(float largest) { return fmaxf(largest / FP8_MAX, 1.0f / (FP8_MAX * 512.0f)); }

__device__ __forceinline__ float max_of_eight(const float* eight, float largest) {
#pragma unroll
    for (int j = 0; j < 8; j++) largest = fmaxf(largest, fabsf(eight[j]));
    return largest;
}

__device__ __forceinline__ void store_fp8(u8* to, const float* eight, float factor) {
    u32 words[2];
#pragma unroll
    for (int j = 0; j < 2; j++)
        words[j] = (u32)pack_fp8(eight[4 * j] * factor, eight[4 * j + 1] * factor)
            | (u32)pack_fp8(eight[4 * j + 2] * factor, eight[4 * j + 3] * factor) << 16;
    *(uint2*)to = make_uint2(words[0], words[1]);
}

// Weights, keys, values: uniform between -scale and scale.
extern "C" __global__ void fill_random_fp8(u8* out, u64 count, u64 seed, float scale) {
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (u64)gridDim.x * blockDim.x)
        out[i] = (u8)(pack_fp8(random_number(i, seed) * scale, 0.0f) & 0xff);
}

// A block of threads for each row, here and below.
extern "C" __global__ void quantize_rows(u8* out, float* out_scales, const u16* in, int width) {
    u64 row = (u64)blockIdx.x * width;
    float eight[8], largest = 0.0f;
    for (int i = 8 * threadIdx.x; i < width; i += 8 * blockDim.x) {
        unpack(*(const uint4*)(in + row + i), eight);
        largest = max_of_eight(eight, largest);
    }
    float scale = scale_of(max_of_block(largest));
    for (int i = 8 * threadIdx.x; i < width; i += 8 * blockDim.x) {
        unpack(*(const uint4*)(in + row + i), eight);
        store_fp8(out + row + i, eight, 1.0f / scale);
    }
    if (threadIdx.x == 0) out_scales[blockIdx.x] = scale;
}

// As add_rms_norm. `scales` may be `out_scales`: a row's is read before it is written.
extern "C" __global__ void add_rms_norm_fp8(u8* out, float* out_scales, u16* residual, const u16* in,
                                            const float* scales, const u16* weight, int hidden, float eps) {
    u64 row = (u64)blockIdx.x * hidden;
    float factor = add_and_norm(residual, in, scales, row, hidden, eps), largest = 0.0f;
    for (int i = 2 * threadIdx.x; i < hidden; i += 2 * blockDim.x) {
        u32 r = *(const u32*)(residual + row + i), w = *(const u32*)(weight + i);
        largest = fmaxf(largest, fabsf(to_float((u16)r) * factor * to_float((u16)w)));
        largest = fmaxf(largest, fabsf(to_float((u16)(r >> 16)) * factor * to_float((u16)(w >> 16))));
    }
    float scale = scale_of(max_of_block(largest));
    factor /= scale;
    for (int i = 2 * threadIdx.x; i < hidden; i += 2 * blockDim.x) {
        u32 r = *(const u32*)(residual + row + i), w = *(const u32*)(weight + i);
        *(u16*)(out + row + i) = pack_fp8(to_float((u16)r) * factor * to_float((u16)w),
                                          to_float((u16)(r >> 16)) * factor * to_float((u16)(w >> 16)));
    }
    if (threadIdx.x == 0) out_scales[blockIdx.x] = scale;
}

// As silu_and_mul, for rows that are still to be multiplied by `scales`, which may be `out_scales`.
extern "C" __global__ void silu_and_mul_fp8(u8* out, float* out_scales, const u16* gate_up, const float* scales,
                                            int intermediate) {
    const u16* row = gate_up + (u64)blockIdx.x * 2 * intermediate;
    float before = scales[blockIdx.x], eight[8], largest = 0.0f;
    for (int i = 8 * threadIdx.x; i < intermediate; i += 8 * blockDim.x) {
        activate(row, i, intermediate, before, eight);
        largest = max_of_eight(eight, largest);
    }
    float scale = scale_of(max_of_block(largest));
    for (int i = 8 * threadIdx.x; i < intermediate; i += 8 * blockDim.x) {
        activate(row, i, intermediate, before, eight);
        store_fp8(out + (u64)blockIdx.x * intermediate + i, eight, 1.0f / scale);
    }
    if (threadIdx.x == 0) out_scales[blockIdx.x] = scale;
}

#endif
