// Kernels for processors with AVX-512 and its products of bfloat16 and of bytes.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <type_traits>
#include <vector>

#include "calls.h"

#define JAXFORMER_AVX512 1
#define JAXFORMER_TARGET \
  "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,f16c"
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target(JAXFORMER_TARGET))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,f16c,prefer-vector-width=512")
#endif
namespace jaxformer {
namespace avx512 {
#include "kernels.h"
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
const Kernels kAvx512Kernels = {"AVX-512", avx512::block, avx512::head, avx512::draw};
}  // namespace jaxformer
#endif
