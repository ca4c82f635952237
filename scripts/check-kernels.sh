#!/usr/bin/env bash
# What can be known of the CUDA kernels without a GPU: that NVRTC compiles them (downloaded from PyPI into target), and
# that they compute the right numbers when a processor plays the GPU (tests/kernels; minutes). How fast they are, and
# whether a GPU agrees, only a GPU tells: profiler profile --engine cuda --check-kernels
set -euo pipefail
cd "$(dirname "$0")/.."

NVRTC_VERSION=12.8.93
folder="$PWD/target/check-kernels"
mkdir -p "$folder"

if [ ! -d "$folder/nvrtc" ]; then
    python3 -m pip download --quiet --no-deps --dest "$folder" "nvidia-cuda-nvrtc-cu12==$NVRTC_VERSION"
    python3 -m zipfile -e "$folder"/nvidia_cuda_nvrtc_cu12-*.whl "$folder/nvrtc"
fi
# A filter that matches no test is no error to cargo.
LD_LIBRARY_PATH="$folder/nvrtc/nvidia/cuda_nvrtc/lib" REQUIRE_NVRTC=1 \
    cargo test --locked --package profiler --lib nvrtc_compiles | tee "$folder/nvrtc.log"
grep -q '^test .*nvrtc_compiles.* ok$' "$folder/nvrtc.log"

# HEAD_DIM GROUP FP16 KV8
for heads in "64 2 0 0" "128 4 1 0" "128 5 0 1" "64 8 1 1"; do
    read -r head_dim group is_half is_cache_fp8 <<<"$heads"
    ${CXX:-g++} -std=c++20 -O1 -mf16c -pthread -Wno-unknown-pragmas \
        -DHEAD_DIM="$head_dim" -DGROUP="$group" -DFP16="$is_half" -DFP8=1 -DKV8="$is_cache_fp8" \
        -DBLOCK_SIZE=16 \
        tests/kernels/check.cpp -o "$folder/check"
    "$folder/check"
done
