// What the CUDA kernels compute, emulated, against references in double precision. Built and run by scripts/check-kernels.sh;
// exit code 1 if a kernel is wrong. The same comparison on a GPU is `profiler profile --engine cuda --check-kernels`.

#include "emulation.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <random>

#include "../../profiler/src/cuda/kernels/numbers.cu"
#include "../../profiler/src/cuda/kernels/rows.cu"
#include "../../profiler/src/cuda/kernels/quantize.cu"
#include "../../profiler/src/cuda/kernels/kv_cache.cu"
#include "../../profiler/src/cuda/kernels/decode_attention.cu"
#include "../../profiler/src/cuda/kernels/prefill_attention.cu"

typedef std::vector<double> Numbers;
typedef std::vector<u16> Halves;
typedef std::vector<u8> Eighths;
typedef std::vector<cached> Cache;

static const int KV_HEADS = 2, Q_HEADS = KV_HEADS * GROUP, WIDTH = 32, NUM_BLOCKS = 101, STRIDE = 62;
static const int ROW = (Q_HEADS + 2 * KV_HEADS) * HEAD_DIM;
// What 8-bit keys and values are to be multiplied by.
static const float EPS = 1e-5f, KV_SCALE = KV8 ? 0.75f : 1.0f;
static std::mt19937 generator(1);
static bool is_right = true;

static Halves random_halves(size_t count) {
    std::uniform_real_distribution<float> uniform(-1, 1);
    Halves halves(count);
    for (auto& half : halves) half = to_bits(uniform(generator));
    return halves;
}

static std::vector<float> random_scales(size_t count) {
    std::uniform_real_distribution<float> uniform(0.25f, 4);
    std::vector<float> scales(count);
    for (auto& scale : scales) scale = uniform(generator);
    return scales;
}

static double number(u16 bits) { return to_float(bits); }
static double number(u8 bits) { return from_fp8(bits); }

static void verdict(const char* name, bool holds, double error) {
    std::printf("  %-40s%8.3f%s\n", name, error, holds ? "" : "  WRONG");
    is_right &= holds;
}

// The largest error as a share of two roundings of the largest number.
static void compare(const char* name, const Numbers& got, const Numbers& expect) {
    double largest = 0, error = 0;
    for (double x : expect) largest = std::max(largest, std::abs(x));
    for (size_t i = 0; i < expect.size(); i++)
        error = std::max(error, std::isnan(got[i]) ? INFINITY : std::abs(got[i] - expect[i]));
    error /= 2 * (FP16 ? 1.0 / 1024 : 1.0 / 128) * largest;
    verdict(name, got.size() == expect.size() && error <= 1, error);
}

static void norm(const u16* x, const u16* weight, int count, Numbers& out) {
    double squares = 0;
    for (int i = 0; i < count; i++) squares += (double)to_float(x[i]) * to_float(x[i]);
    double factor = 1 / std::sqrt(squares / count + EPS);
    for (int i = 0; i < count; i++) out.push_back(to_float(x[i]) * factor * to_float(weight[i]));
}

// What quantised rows are, against what they should be: half a step of e4m3 off, and the same largest number.
static void compare_quantized(const char* name, const Eighths& got, const std::vector<float>& scales,
                              const Numbers& expect) {
    double error = 0;
    size_t width = expect.size() / scales.size();
    for (size_t i = 0; i < expect.size(); i++) {
        double scale = scales[i / width], step = std::max(std::abs(expect[i]) / 16, scale / 1024);
        double off = std::abs(from_fp8(got[i]) * scale - expect[i]) / (1.02 * step);
        error = std::max(error, std::isnan(off) ? INFINITY : off);
    }
    for (size_t row = 0; row < scales.size(); row++) {
        double largest = 0;
        for (size_t i = row * width; i < (row + 1) * width; i++) largest = std::max(largest, std::abs(expect[i]));
        error = std::max(error, std::abs(scales[row] * 448 / largest - 1) * 1000);
    }
    verdict(name, error <= 1, error);
}

static void check_norms() {
    const int rows = 5, hidden = 264;
    for (bool has_addend : {true, false})
        for (bool is_scaled : {false, true}) {
            Halves out = random_halves(rows * hidden), residual = random_halves(rows * hidden), before = residual;
            Halves in = random_halves(rows * hidden), weight = random_halves(hidden);
            std::vector<float> scales = random_scales(rows), out_scales = scales;
            Halves again = residual;
            const u16* addend = has_addend ? in.data() : nullptr;
            launch({rows, 1, 1}, 256, [&] {
                add_rms_norm(out.data(), residual.data(), addend, is_scaled ? scales.data() : nullptr, weight.data(),
                             hidden, EPS);
            });
            Numbers got, expect, normed;
            for (int i = 0; i < rows * hidden; i++) {
                double scale = is_scaled ? scales[i / hidden] : 1;
                got.push_back(to_float(residual[i]));
                expect.push_back(to_float(before[i]) + (has_addend ? to_float(in[i]) * scale : 0.0));
            }
            for (int row = 0; row < rows; row++) norm(&residual[row * hidden], weight.data(), hidden, normed);
            for (u16 x : out) got.push_back(to_float(x));
            expect.insert(expect.end(), normed.begin(), normed.end());
            compare(has_addend ? "add_rms_norm" : "add_rms_norm without addend", got, expect);
            if (!is_scaled) continue;
            Eighths quantized(rows * hidden);
            launch({rows, 1, 1}, 256, [&] {
                add_rms_norm_fp8(quantized.data(), out_scales.data(), again.data(), addend, out_scales.data(),
                                 weight.data(), hidden, EPS);
            });
            if (again != residual) verdict("add_rms_norm_fp8: the residual", false, INFINITY);
            compare_quantized("add_rms_norm_fp8", quantized, out_scales, normed);
        }
    const int heads = Q_HEADS + 2 * KV_HEADS;
    Halves qkv = random_halves(3 * ROW), before = qkv, of_q = random_halves(HEAD_DIM), of_k = random_halves(HEAD_DIM);
    Halves scaled = qkv;
    launch({3, Q_HEADS + KV_HEADS, 1}, 32,
           [&] { qk_norm(qkv.data(), nullptr, of_q.data(), of_k.data(), Q_HEADS, KV_HEADS, EPS); });
    // A norm does not see scales, but for what is added to the mean square.
    std::vector<float> scales = random_scales(3);
    launch({3, Q_HEADS + KV_HEADS, 1}, 32,
           [&] { qk_norm(scaled.data(), scales.data(), of_q.data(), of_k.data(), Q_HEADS, KV_HEADS, EPS); });
    Numbers got, expect;
    for (int i = 0; i < 3 * heads; i++)
        if (i % heads < Q_HEADS + KV_HEADS)
            norm(&before[i * HEAD_DIM], (i % heads < Q_HEADS ? of_q : of_k).data(), HEAD_DIM, expect);
        else
            for (int d = 0; d < HEAD_DIM; d++) expect.push_back(to_float(before[i * HEAD_DIM + d]));
    for (u16 x : qkv) got.push_back(to_float(x));
    compare("qk_norm", got, expect);
    got.clear();
    for (u16 x : scaled) got.push_back(to_float(x));
    compare("qk_norm of scaled rows", got, expect);
}

static void check_rows() {
    const int rows = 3, intermediate = 2056, vocab = 12008;
    Halves out = random_halves(rows * intermediate), gate_up = random_halves(2 * rows * intermediate);
    launch({rows, 2, 1}, 256, [&] { silu_and_mul(out.data(), gate_up.data(), intermediate); });
    Numbers got, expect;
    for (int i = 0; i < rows * intermediate; i++) {
        const u16* row = &gate_up[i / intermediate * 2 * intermediate + i % intermediate];
        double gate = to_float(row[0]), up = to_float(row[intermediate]);
        got.push_back(to_float(out[i]));
        expect.push_back(gate / (1 + std::exp(-gate)) * up);
    }
    compare("silu_and_mul", got, expect);

    Eighths quantized(rows * intermediate);
    std::vector<float> scales = random_scales(rows), out_scales = scales;
    launch({rows, 1, 1}, 256, [&] {
        silu_and_mul_fp8(quantized.data(), out_scales.data(), gate_up.data(), out_scales.data(), intermediate);
    });
    for (int i = 0; i < rows * intermediate; i++) {
        const u16* row = &gate_up[i / intermediate * 2 * intermediate + i % intermediate];
        double scale = scales[i / intermediate], gate = to_float(row[0]) * scale;
        expect[i] = gate / (1 + std::exp(-gate)) * to_float(row[intermediate]) * scale;
    }
    compare_quantized("silu_and_mul_fp8", quantized, out_scales, expect);
    launch({rows, 1, 1}, 256,
           [&] { quantize_rows(quantized.data(), out_scales.data(), gate_up.data(), intermediate); });
    for (int i = 0; i < rows * intermediate; i++) expect[i] = to_float(gate_up[i]);
    compare_quantized("quantize_rows", quantized, out_scales, expect);

    Halves logits = random_halves(4 * vocab);
    std::vector<int> places(4, -1);
    launch({4, 1, 1}, 1024, [&] { argmax(places.data(), logits.data(), vocab); });
    bool holds = true;
    for (int row = 0; row < 4; row++) {
        auto less = [](u16 a, u16 b) { return to_float(a) < to_float(b); };
        auto first = logits.begin() + row * vocab;
        holds &= places[row] == std::max_element(first, first + vocab, less) - first;
    }
    verdict("argmax", holds, 0);

    Halves table = random_halves(9 * 64), some = random_halves(3 * 64), again = random_halves(3 * 64);
    const int ids[3] = {7, 0, 8}, order[3] = {2, 2, 1};
    launch({3, 1, 1}, 128, [&] { embed(some.data(), table.data(), ids, 64); });
    launch({3, 1, 1}, 128, [&] { gather_rows(again.data(), some.data(), order, 64); });
    holds = true;
    for (int i = 0; i < 3 * 64; i++) {
        holds &= some[i] == table[ids[i / 64] * 64 + i % 64];
        holds &= again[i] == table[ids[order[i / 64]] * 64 + i % 64];
    }
    verdict("embed, gather_rows", holds, 0);
}

// A pass: decodes, given by what they attend to, and prompt parts of some tokens after some others.
struct Pass {
    std::vector<int> positions, requests, contexts, tiles, starts, tables;
    int num_blocks = 0;

    void push(int num_tokens, int before) {
        starts.push_back(num_blocks);
        num_blocks += (num_tokens + before + BLOCK_SIZE - 1) / BLOCK_SIZE;
        for (int i = 0; i < num_tokens; i++) {
            positions.push_back(before + i);
            requests.push_back((int)starts.size() - 1);
        }
    }
    Pass(std::vector<int> decodes, std::vector<std::pair<int, int>> chunks, size_t padded) : contexts(decodes) {
        for (int context : decodes) push(1, context - 1);
        for (auto [num_tokens, before] : chunks) {
            for (int first = 0; first < num_tokens; first += 64)
                for (int x : {(int)positions.size() + first, std::min(64, num_tokens - first), before + first,
                              (int)starts.size()})
                    tiles.push_back(x);
            push(num_tokens, before);
        }
        positions.resize(padded, 0);
        requests.resize(padded, -1);
        tables.resize(starts.size() * WIDTH, -1);
    }
    size_t slot(int request, int token) const {
        size_t block = tables[request * WIDTH + token / BLOCK_SIZE];
        return (block * BLOCK_SIZE + token % BLOCK_SIZE) * KV_HEADS * HEAD_DIM;
    }
};

static void check_rope(const Pass& pass, const Halves& before, const std::vector<float>& scales, const Halves& qkv,
                       const Cache& keys, const Cache& values) {
    Numbers got, expect;
    double cache_error = 0;
    for (size_t i = 0; i < qkv.size(); i++) {
        int row = i / ROW, head = i % ROW / HEAD_DIM, d = i % HEAD_DIM, pair = d % (HEAD_DIM / 2);
        double scale = scales.empty() ? 1 : scales[row];
        double angle = pass.positions[row] * std::pow(10000.0, -2.0 * pair / HEAD_DIM);
        double a = to_float(before[i - d + pair]), b = to_float(before[i - d + pair + HEAD_DIM / 2]);
        double turned = d == pair ? a * std::cos(angle) - b * std::sin(angle) : b * std::cos(angle) + a * std::sin(angle);
        bool is_turned = head < Q_HEADS + KV_HEADS;
        expect.push_back(is_turned ? turned * scale : to_float(before[i]));
        got.push_back(to_float(qkv[i]));
        if (pass.requests[row] < 0 || head < Q_HEADS) continue;
        const Cache& cache = is_turned ? keys : values;
        size_t slot = pass.slot(pass.requests[row], pass.positions[row]);
        double in_cache = number(cache[slot + (head - Q_HEADS) % KV_HEADS * HEAD_DIM + d]) * KV_SCALE;
        double wanted = is_turned ? to_float(qkv[i]) : to_float(qkv[i]) * scale;
        // Half a step of e4m3; of 16 bits a rounding where there is a scale, and nothing else.
        double step = KV8 ? std::max(std::abs(wanted) / 16, KV_SCALE / 1024.0)
                          : std::max(std::abs(wanted) / (FP16 ? 2048 : 256), std::ldexp(1.0, -25));
        double off = std::abs(in_cache - wanted);
        if (KV8 || (!is_turned && !scales.empty())) off /= 1.001 * step;
        else off = off == 0 ? 0 : INFINITY;
        cache_error = std::max(cache_error, std::isnan(off) ? INFINITY : off);
    }
    compare("rope_and_cache", got, expect);
    verdict("rope_and_cache: the cache", cache_error <= 1, cache_error);
}

static void check_attended(const char* name, const Pass& pass, const Halves& qkv, const Cache& keys,
                           const Cache& values, const Halves& out) {
    Numbers got, expect;
    for (size_t row = 0; row < pass.positions.size(); row++)
        for (int head = 0; pass.requests[row] >= 0 && head < Q_HEADS; head++) {
            int request = pass.requests[row], count = pass.positions[row] + 1, kv_head = head / GROUP;
            auto place = [&](int token) { return pass.slot(request, token) + kv_head * HEAD_DIM; };
            Numbers weights(count, 0);
            for (int token = 0; token < count; token++)
                for (int d = 0; d < HEAD_DIM; d++)
                    weights[token] += (double)to_float(qkv[row * ROW + head * HEAD_DIM + d]) *
                                      number(keys[place(token) + d]) * KV_SCALE / std::sqrt((double)HEAD_DIM);
            double largest = *std::max_element(weights.begin(), weights.end()), total = 0;
            for (double& weight : weights) total += weight = std::exp(weight - largest);
            for (int d = 0; d < HEAD_DIM; d++) {
                double sum = 0;
                for (int token = 0; token < count; token++)
                    sum += weights[token] / total * number(values[place(token) + d]) * KV_SCALE;
                expect.push_back(sum);
                got.push_back(to_float(out[(row * Q_HEADS + head) * HEAD_DIM + d]));
            }
        }
    compare(name, got, expect);
}

static Cache random_cache(size_t count) {
    Cache cache(count);
    for (auto& x : cache) {
        u16 half = random_halves(1)[0];
        x = KV8 ? to_fp8(to_float(half)) : half;
    }
    return cache;
}

static void check_pass(const char* name, Pass pass, int num_parts, bool is_scaled) {
    unsigned rows = pass.positions.size(), num_decodes = pass.contexts.size(), num_tiles = pass.tiles.size() / 4;
    launch({1, (unsigned)pass.starts.size(), 1}, 128,
           [&] { fill_tables(pass.tables.data(), pass.starts.data(), WIDTH, STRIDE, NUM_BLOCKS); });
    Halves qkv = random_halves(rows * ROW), before = qkv, out = random_halves(rows * Q_HEADS * HEAD_DIM);
    size_t slots = (size_t)NUM_BLOCKS * BLOCK_SIZE * KV_HEADS * HEAD_DIM;
    Cache keys = random_cache(slots), values = random_cache(slots);
    std::vector<float> scales = random_scales(is_scaled ? rows : 0);
    const float* scales_at = is_scaled ? scales.data() : nullptr;
    const int* tables = pass.tables.data();
    launch({rows, 1, 1}, 256, [&] {
        rope_and_cache(qkv.data(), scales_at, scales_at, keys.data(), values.data(), pass.positions.data(),
                       pass.requests.data(), tables, WIDTH, Q_HEADS, KV_HEADS, std::log2(10000.0f), KV_SCALE);
    });
    check_rope(pass, before, scales, qkv, keys, values);
    float scale = 1.44269504f / std::sqrt((float)HEAD_DIM) * KV_SCALE;
    std::vector<float> partial((size_t)num_decodes * Q_HEADS * num_parts * HEAD_DIM, NAN), stats(partial.size(), NAN);
    launch({(unsigned)num_parts, KV_HEADS, num_decodes}, 128, [&] {
        decode_attention(partial.data(), stats.data(), qkv.data(), keys.data(), values.data(), tables,
                         pass.contexts.data(), WIDTH, KV_HEADS, scale, KV_SCALE);
    });
    launch({Q_HEADS, num_decodes, 1}, HEAD_DIM,
           [&] { merge_parts(out.data(), partial.data(), stats.data(), num_parts); });
    launch({num_tiles, Q_HEADS, 1}, 128, [&] {
        prefill_attention(out.data(), qkv.data(), keys.data(), values.data(), tables, pass.tiles.data(), WIDTH, Q_HEADS,
                          KV_HEADS, scale, KV_SCALE);
    });
    check_attended(name, pass, qkv, keys, values, out);
}

// Every number of e4m3 comes back, what is between two goes to the nearer, what is too large to 448.
static void check_fp8() {
    bool holds = true;
    for (int bits = 0; bits < 256; bits++)
        if ((bits & 0x7f) != 0x7f) holds &= to_fp8(from_fp8(bits)) == bits;
    holds &= from_fp8(0x7e) == 448 && from_fp8(1) == 1.0f / 512 && from_fp8(0x38) == 1;
    holds &= to_fp8(1e9f) == 0x7e && to_fp8(-1e9f) == 0xfe && to_fp8(1.0624f) == 0x38 && to_fp8(1.0626f) == 0x39;
    verdict("e4m3, as it is emulated", holds, 0);
}

int main() {
    std::printf("%s, heads of %d, %d to a key head, %s cache:\n", FP16 ? "float16" : "bfloat16", HEAD_DIM, GROUP,
                KV8 ? "e4m3" : "16-bit");
    check_fp8();
    check_norms();
    check_rows();
    // More tokens than a tile, not a multiple of one; a prompt part after others; one token alone; padding.
    Pass mixed({95, 95, 95}, {{70, 37}, {1, 0}, {130, 0}}, 208);
    check_pass("decode_attention, prefill_attention", mixed, 1, false);
    check_pass("decode_attention, prefill_attention", mixed, 1, true);
    for (int num_parts : {1, 7, 32})
        check_pass("decode_attention", Pass({156, 156, 155, 1, 17}, {}, 8), num_parts, false);
    return is_right ? 0 : 1;
}
