// Kernels for processors with AVX2, FMA and half-precision conversion.
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

#define JAXFORMER_AVX2 1
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
namespace jaxformer {
namespace avx2 {
#include "kernels.h"
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
const Kernels kAvx2Kernels = {"AVX2", avx2::block, avx2::head, avx2::draw};
}  // namespace jaxformer
#endif
