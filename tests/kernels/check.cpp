// What the CUDA kernels compute, emulated, against references in double precision. Built and run by scripts/check-kernels.sh;
// exit code 1 if a kernel is wrong. The same comparison on a GPU is `profiler profile --engine cuda --check-kernels`.

#include "emulation.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <random>

#include "../../profiler/src/cuda/kernels/numbers.cu"
#include "../../profiler/src/cuda/kernels/rows.cu"
#include "../../profiler/src/cuda/kernels/kv_cache.cu"
#include "../../profiler/src/cuda/kernels/decode_attention.cu"
#include "../../profiler/src/cuda/kernels/prefill_attention.cu"

typedef std::vector<double> Numbers;
typedef std::vector<u16> Halves;

static const int KV_HEADS = 2, Q_HEADS = KV_HEADS * GROUP, WIDTH = 32, NUM_BLOCKS = 101, STRIDE = 62;
static const int ROW = (Q_HEADS + 2 * KV_HEADS) * HEAD_DIM;
static const float EPS = 1e-5f;
static std::mt19937 generator(1);
static bool is_right = true;

static Halves random_halves(size_t count) {
    std::uniform_real_distribution<float> uniform(-1, 1);
    Halves halves(count);
    for (auto& half : halves) half = to_bits(uniform(generator));
    return halves;
}

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

static void check_norms() {
    const int rows = 5, hidden = 264;
    for (bool has_addend : {true, false}) {
        Halves out = random_halves(rows * hidden), residual = random_halves(rows * hidden), before = residual;
        Halves in = random_halves(rows * hidden), weight = random_halves(hidden);
        launch({rows, 1, 1}, 256, [&] {
            add_rms_norm(out.data(), residual.data(), has_addend ? in.data() : nullptr, weight.data(), hidden, EPS);
        });
        Numbers got, expect;
        for (int i = 0; i < rows * hidden; i++) {
            got.push_back(to_float(residual[i]));
            expect.push_back(to_float(before[i]) + (has_addend ? to_float(in[i]) : 0.0));
        }
        for (int row = 0; row < rows; row++) norm(&residual[row * hidden], weight.data(), hidden, expect);
        for (u16 x : out) got.push_back(to_float(x));
        compare(has_addend ? "add_rms_norm" : "add_rms_norm without addend", got, expect);
    }
    const int heads = Q_HEADS + 2 * KV_HEADS;
    Halves qkv = random_halves(3 * ROW), before = qkv, of_q = random_halves(HEAD_DIM), of_k = random_halves(HEAD_DIM);
    launch({3, Q_HEADS + KV_HEADS, 1}, 32,
           [&] { qk_norm(qkv.data(), of_q.data(), of_k.data(), Q_HEADS, KV_HEADS, EPS); });
    Numbers got, expect;
    for (int i = 0; i < 3 * heads; i++)
        if (i % heads < Q_HEADS + KV_HEADS)
            norm(&before[i * HEAD_DIM], (i % heads < Q_HEADS ? of_q : of_k).data(), HEAD_DIM, expect);
        else
            for (int d = 0; d < HEAD_DIM; d++) expect.push_back(to_float(before[i * HEAD_DIM + d]));
    for (u16 x : qkv) got.push_back(to_float(x));
    compare("qk_norm", got, expect);
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

static void check_rope(const Pass& pass, const Halves& before, const Halves& qkv, const Halves& keys,
                       const Halves& values) {
    Numbers got, expect;
    bool is_cached = true;
    for (size_t i = 0; i < qkv.size(); i++) {
        int row = i / ROW, head = i % ROW / HEAD_DIM, d = i % HEAD_DIM, pair = d % (HEAD_DIM / 2);
        double angle = pass.positions[row] * std::pow(10000.0, -2.0 * pair / HEAD_DIM);
        double a = to_float(before[i - d + pair]), b = to_float(before[i - d + pair + HEAD_DIM / 2]);
        double turned = d == pair ? a * std::cos(angle) - b * std::sin(angle) : b * std::cos(angle) + a * std::sin(angle);
        expect.push_back(head < Q_HEADS + KV_HEADS ? turned : to_float(before[i]));
        got.push_back(to_float(qkv[i]));
        if (pass.requests[row] < 0 || head < Q_HEADS) continue;
        const Halves& cache = head < Q_HEADS + KV_HEADS ? keys : values;
        size_t slot = pass.slot(pass.requests[row], pass.positions[row]);
        is_cached &= cache[slot + (head - Q_HEADS) % KV_HEADS * HEAD_DIM + d] == qkv[i];
    }
    compare("rope_and_cache", got, expect);
    if (!is_cached) verdict("rope_and_cache: the cache", false, INFINITY);
}

static void check_attended(const char* name, const Pass& pass, const Halves& qkv, const Halves& keys,
                           const Halves& values, const Halves& out) {
    Numbers got, expect;
    for (size_t row = 0; row < pass.positions.size(); row++)
        for (int head = 0; pass.requests[row] >= 0 && head < Q_HEADS; head++) {
            int request = pass.requests[row], count = pass.positions[row] + 1, kv_head = head / GROUP;
            auto place = [&](int token) { return pass.slot(request, token) + kv_head * HEAD_DIM; };
            Numbers weights(count, 0);
            for (int token = 0; token < count; token++)
                for (int d = 0; d < HEAD_DIM; d++)
                    weights[token] += (double)to_float(qkv[row * ROW + head * HEAD_DIM + d]) *
                                      to_float(keys[place(token) + d]) / std::sqrt((double)HEAD_DIM);
            double largest = *std::max_element(weights.begin(), weights.end()), total = 0;
            for (double& weight : weights) total += weight = std::exp(weight - largest);
            for (int d = 0; d < HEAD_DIM; d++) {
                double sum = 0;
                for (int token = 0; token < count; token++)
                    sum += weights[token] / total * to_float(values[place(token) + d]);
                expect.push_back(sum);
                got.push_back(to_float(out[(row * Q_HEADS + head) * HEAD_DIM + d]));
            }
        }
    compare(name, got, expect);
}

static void check_pass(const char* name, Pass pass, int num_parts) {
    unsigned rows = pass.positions.size(), num_decodes = pass.contexts.size(), num_tiles = pass.tiles.size() / 4;
    launch({1, (unsigned)pass.starts.size(), 1}, 128,
           [&] { fill_tables(pass.tables.data(), pass.starts.data(), WIDTH, STRIDE, NUM_BLOCKS); });
    Halves qkv = random_halves(rows * ROW), before = qkv, out = random_halves(rows * Q_HEADS * HEAD_DIM);
    size_t slots = (size_t)NUM_BLOCKS * BLOCK_SIZE * KV_HEADS * HEAD_DIM;
    Halves keys = random_halves(slots), values = random_halves(slots);
    const int* tables = pass.tables.data();
    launch({rows, 1, 1}, 256, [&] {
        rope_and_cache(qkv.data(), keys.data(), values.data(), pass.positions.data(), pass.requests.data(), tables, WIDTH,
                       Q_HEADS, KV_HEADS, std::log2(10000.0f));
    });
    check_rope(pass, before, qkv, keys, values);
    float scale = 1.44269504f / std::sqrt((float)HEAD_DIM);
    std::vector<float> partial((size_t)num_decodes * Q_HEADS * num_parts * HEAD_DIM, NAN), stats(partial.size(), NAN);
    launch({(unsigned)num_parts, KV_HEADS, num_decodes}, 128, [&] {
        decode_attention(partial.data(), stats.data(), qkv.data(), keys.data(), values.data(), tables,
                         pass.contexts.data(), WIDTH, KV_HEADS, scale);
    });
    launch({Q_HEADS, num_decodes, 1}, HEAD_DIM,
           [&] { merge_parts(out.data(), partial.data(), stats.data(), num_parts); });
    launch({num_tiles, Q_HEADS, 1}, 128, [&] {
        prefill_attention(out.data(), qkv.data(), keys.data(), values.data(), tables, pass.tiles.data(), WIDTH, Q_HEADS,
                          KV_HEADS, scale);
    });
    check_attended(name, pass, qkv, keys, values, out);
}

int main() {
    std::printf("%s, heads of %d, %d to a key head:\n", FP16 ? "float16" : "bfloat16", HEAD_DIM, GROUP);
    check_norms();
    check_rows();
    // More tokens than a tile, not a multiple of one; a prompt part after others; one token alone; padding.
    check_pass("decode_attention, prefill_attention", Pass({95, 95, 95}, {{70, 37}, {1, 0}, {130, 0}}, 208), 1);
    for (int num_parts : {1, 7, 32}) check_pass("decode_attention", Pass({156, 156, 155, 1, 17}, {}, 8), num_parts);
    return is_right ? 0 : 1;
}
