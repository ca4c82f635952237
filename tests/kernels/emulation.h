// A GPU for the kernels on the processor: blocks one after another, a thread for each of a block's, warps that exchange
// through barriers. The tensor cores' layouts are those of the PTX manual (ldmatrix; mma.m16n8k16). No speed, no
// hazards between threads beyond what the barriers show, no memory model: arithmetic and indices only.

#include <immintrin.h>

#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#define EMULATED
#define __device__
#define __forceinline__ inline
#define __global__
#define __launch_bounds__(threads)
#define __align__(bytes) __attribute__((aligned(bytes)))
// Blocks run one after another, so one copy is enough.
#define __shared__ static

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct uint4 {
    u32 x, y, z, w;
};
struct uint2 {
    u32 x, y;
};
struct Index {
    unsigned x, y, z;
};

static inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }
static inline uint2 make_uint2(u32 x, u32 y) { return {x, y}; }

struct Warp {
    std::barrier<> barrier;
    u64 words[32][6];
    explicit Warp(int num_lanes) : barrier(num_lanes) {}
};

struct Block {
    std::barrier<> barrier;
    std::vector<std::unique_ptr<Warp>> warps;
    explicit Block(int num_threads) : barrier(num_threads) {
        for (int first = 0; first < num_threads; first += 32)
            warps.push_back(std::make_unique<Warp>(std::min(32, num_threads - first)));
    }
};

static thread_local Index threadIdx, blockIdx, blockDim, gridDim;
static thread_local Block* this_block;

static inline Warp& this_warp() { return *this_block->warps[threadIdx.x / 32]; }
static inline int this_lane() { return threadIdx.x % 32; }

static inline void __syncthreads() { this_block->barrier.arrive_and_wait(); }

static inline float __uint_as_float(u32 bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
static inline float __int_as_float(int bits) { return __uint_as_float((u32)bits); }

static inline float __shfl_xor_sync(unsigned, float x, int mask) {
    Warp& warp = this_warp();
    u32 bits;
    std::memcpy(&bits, &x, sizeof bits);
    warp.words[this_lane()][0] = bits;
    warp.barrier.arrive_and_wait();
    float other = __uint_as_float((u32)warp.words[this_lane() ^ mask][0]);
    warp.barrier.arrive_and_wait();
    return other;
}

static inline int min(int a, int b) { return a < b ? a : b; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }

static inline float to_float(u16 x) {
#if FP16
    return _cvtsh_ss(x);
#else
    return __uint_as_float((u32)x << 16);
#endif
}

static inline u16 to_bits(float x) {
#if FP16
    return _cvtss_sh(x, 0);
#else
    u32 bits;
    std::memcpy(&bits, &x, sizeof bits);
    return (u16)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
#endif
}

static inline u32 pack(float low, float high) { return (u32)to_bits(low) | (u32)to_bits(high) << 16; }

// The nearest number in e4m3: a sign, four bits of exponent (bias 7), three of mantissa; 448 is the largest.
static inline u8 to_fp8(float x) {
    u8 sign = std::signbit(x) ? 0x80 : 0;
    if (std::isnan(x)) return sign | 0x7f;
    float size = std::min(std::abs(x), 448.0f);
    int exponent = size == 0 ? -6 : std::max(std::ilogb(size), -6);
    int steps = (int)std::nearbyint(std::ldexp(size, 3 - exponent));
    // Below 8 steps there is no leading 1; 16 carry into the exponent by themselves.
    return sign | (u8)(((exponent + 6) << 3) + steps);
}

static inline float from_fp8(u8 bits) {
    int exponent = bits >> 3 & 15, mantissa = bits & 7;
    if (exponent == 15 && mantissa == 7) return NAN;
    float size = exponent == 0 ? std::ldexp((float)mantissa, -9) : std::ldexp((float)(8 + mantissa), exponent - 10);
    return bits & 0x80 ? -size : size;
}

static inline u16 pack_fp8(float low, float high) { return (u16)to_fp8(low) | (u16)to_fp8(high) << 8; }
static inline void unpack_fp8(u16 packed, float* two) {
    two[0] = from_fp8((u8)(packed & 0xff));
    two[1] = from_fp8((u8)(packed >> 8));
}

// Each lane gives the address of a row of eight numbers; matrix m has the rows of the lanes from 8 m on. A lane gets two
// numbers of each matrix: of row lane / 4, or of column lane / 4 if transposed.
static inline void load(u32* r, const u16* row, bool is_transposed) {
    Warp& warp = this_warp();
    int lane = this_lane(), pair = 2 * (lane % 4);
    warp.words[lane][0] = (u64)(uintptr_t)row;
    warp.barrier.arrive_and_wait();
    for (int m = 0; m < 4; m++) {
        auto at = [&](int r, int c) { return ((const u16*)(uintptr_t)warp.words[8 * m + r][0])[c]; };
        u16 low = is_transposed ? at(pair, lane / 4) : at(lane / 4, pair);
        u16 high = is_transposed ? at(pair + 1, lane / 4) : at(lane / 4, pair + 1);
        r[m] = (u32)low | (u32)high << 16;
    }
    warp.barrier.arrive_and_wait();
}
static inline void load_matrices(u32* r, const u16* row) { load(r, row, false); }
static inline void load_matrices_transposed(u32* r, const u16* row) { load(r, row, true); }

static inline void multiply_add(float* c, const u32* a, u32 b0, u32 b1) {
    Warp& warp = this_warp();
    int lane = this_lane();
    for (int i = 0; i < 4; i++) warp.words[lane][i] = a[i];
    warp.words[lane][4] = b0;
    warp.words[lane][5] = b1;
    warp.barrier.arrive_and_wait();
    auto half = [](u64 word, int place) { return to_float((u16)(word >> (16 * place))); };
    auto of_a = [&](int m, int k) { return half(warp.words[m % 8 * 4 + k % 8 / 2][m / 8 + 2 * (k / 8)], k % 2); };
    auto of_b = [&](int k, int n) { return half(warp.words[n * 4 + k % 8 / 2][4 + k / 8], k % 2); };
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 16; k++) c[i] += of_a(lane / 4 + 8 * (i / 2), k) * of_b(k, 2 * (lane % 4) + i % 2);
    warp.barrier.arrive_and_wait();
}

// Runs a kernel over a grid.
template <class Kernel> void launch(Index grid, unsigned num_threads, Kernel kernel) {
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                Block block(num_threads);
                std::vector<std::thread> threads;
                for (unsigned t = 0; t < num_threads; t++)
                    threads.emplace_back([&, t] {
                        threadIdx = {t, 0, 0};
                        blockIdx = {x, y, z};
                        blockDim = {num_threads, 1, 1};
                        gridDim = grid;
                        this_block = &block;
                        kernel();
                    });
                for (auto& thread : threads) thread.join();
            }
}
