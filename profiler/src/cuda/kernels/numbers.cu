// The operators of a decoder that are no matrix product, compiled by NVRTC when the engine starts: these files one after
// the other, in the order of `kernels.rs`. This one has what the others compute with.
//
// Defined from outside: HEAD_DIM (64 or 128), GROUP (query heads per key head, at most 8), BLOCK_SIZE (tokens per KV
// block), FP16 (1 for float16, 0 for bfloat16), FP8 (1 for the conversions to and from e4m3 and the kernels that need
// them), KV8 (1 for keys and values in e4m3; with FP8 only). Needs compute capability 8.0, with FP8 8.9, and no header.
//
// Numbers are 16 bits wide in memory, or e4m3 with a scale, and single precision in registers. A row is a token. The KV cache of a layer is
// [block][token of the block][key head][HEAD_DIM], once for keys and once for values; the row of queries, keys and
// values is [query heads][key heads][key heads][HEAD_DIM].

typedef unsigned char u8;
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

#if FP8
// Two numbers in e4m3, `low` at the lower address. What is too large becomes the largest number, 448.
__device__ __forceinline__ u16 pack_fp8(float low, float high) {
    u16 packed;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(packed) : "f"(high), "f"(low));
    return packed;
}

// Exactly: float16 has every number of e4m3.
__device__ __forceinline__ void unpack_fp8(u16 packed, float* two) {
    asm("{\n"
        ".reg .b32 halves;\n"
        ".reg .b16 low, high;\n"
        "cvt.rn.f16x2.e4m3x2 halves, %2;\n"
        "mov.b32 {low, high}, halves;\n"
        "cvt.f32.f16 %0, low;\n"
        "cvt.f32.f16 %1, high;\n"
        "}"
        : "=f"(two[0]), "=f"(two[1])
        : "h"(packed));
}
#endif

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
