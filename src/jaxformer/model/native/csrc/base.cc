// Kernels for any processor; on ARM with its dot products where the compiler may use them.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <type_traits>
#include <vector>

#include "calls.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif
#if defined(__ARM_FEATURE_DOTPROD)
#define JAXFORMER_NEON_DOT 1
#endif

namespace jaxformer {
namespace base {
#include "kernels.h"
}  // namespace base
#if JAXFORMER_NEON_DOT
const Kernels kBaseKernels = {"NEON", base::block, base::head, base::draw};
#else
const Kernels kBaseKernels = {"portable", base::block, base::head, base::draw};
#endif
}  // namespace jaxformer
