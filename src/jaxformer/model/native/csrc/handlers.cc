// The kernels as targets of XLA's foreign function interface.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "calls.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace jaxformer {
namespace {

using Floats = ffi::Buffer<ffi::F32>;
using Ints = ffi::Buffer<ffi::S32>;

bool runs_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool runs_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

// The best that the processor runs, or less where JAXFORMER_KERNELS says so ("AVX2", "portable").
const Kernels& kernels() {
  static const Kernels& best = []() -> const Kernels& {
    const char* wish = std::getenv("JAXFORMER_KERNELS");
    auto wanted = [&](const Kernels& kernels) {
      return wish == nullptr || std::strcmp(wish, kernels.name) == 0;
    };
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (runs_avx512() && wanted(kAvx512Kernels)) return kAvx512Kernels;
    if (runs_avx2() && wanted(kAvx2Kernels)) return kAvx2Kernels;
#endif
    return kBaseKernels;
  }();
  return best;
}

Matrix matrix(const ffi::AnyBuffer& panels, const Floats& scales) {
  return {static_cast<const uint8_t*>(panels.untyped_data()), scales.typed_data()};
}

ffi::Error run_block(int32_t format, int32_t heads, float epsilon, Floats x, Ints positions,
                     Floats sin, Floats cos, Floats norm_scale, Floats norm_bias,
                     ffi::AnyBuffer in, Floats in_scales, Floats in_bias,
                     ffi::AnyBuffer attended_out, Floats attended_scales,
                     ffi::AnyBuffer inner_out, Floats inner_scales, Floats out_bias,
                     ffi::AnyBuffer, ffi::AnyBuffer, ffi::Result<Floats> y,
                     ffi::Result<ffi::AnyBuffer> keys, ffi::Result<ffi::AnyBuffer> values) {
  Block b;
  b.format = Format(format);
  b.rows = x.dimensions()[0];
  b.tokens = x.dimensions()[1];
  b.width = x.dimensions()[2];
  b.inner = in_bias.dimensions()[0];
  b.heads = heads;
  b.head_dim = b.width / heads;
  b.slots = keys->dimensions()[2];
  b.rotary_half = sin.dimensions()[1];
  b.epsilon = epsilon;
  b.x = x.typed_data();
  b.positions = positions.typed_data();
  b.sin = sin.typed_data();
  b.cos = cos.typed_data();
  b.norm_scale = norm_scale.typed_data();
  b.norm_bias = norm_bias.typed_data();
  b.in = matrix(in, in_scales);
  b.attended_out = matrix(attended_out, attended_scales);
  b.inner_out = matrix(inner_out, inner_scales);
  b.in_bias = in_bias.typed_data();
  b.out_bias = out_bias.typed_data();
  b.keys = keys->untyped_data();
  b.values = values->untyped_data();
  b.y = y->typed_data();
  bool whole = b.format == Format::kFloat32;
  if (keys->element_type() != (whole ? ffi::F32 : ffi::U16))
    return ffi::Error::InvalidArgument("The cache is of another dtype than the weights ask for.");
  if (size_t(sin.dimensions()[0]) < b.slots)
    return ffi::Error::InvalidArgument("The cache has more slots than the model has positions.");
  kernels().block(b);
  return ffi::Error::Success();
}

ffi::Error run_head(int32_t format, float epsilon, Floats x, Floats norm_scale, Floats norm_bias,
                    ffi::AnyBuffer out, Floats out_scales, Floats bias, ffi::Result<Floats> y) {
  Head h;
  h.format = Format(format);
  h.rows = x.dimensions()[0];
  h.width = x.dimensions()[1];
  h.entries = bias.dimensions()[0];
  h.epsilon = epsilon;
  h.x = x.typed_data();
  h.norm_scale = norm_scale.typed_data();
  h.norm_bias = norm_bias.typed_data();
  h.out = matrix(out, out_scales);
  h.bias = bias.typed_data();
  h.y = y->typed_data();
  kernels().head(h);
  return ffi::Error::Success();
}

ffi::Error run_draw(int32_t entries, Floats scores, Floats temperature, Floats top_p, Ints top_k,
                    ffi::Buffer<ffi::U32> seed, Ints positions, ffi::Result<Ints> tokens,
                    ffi::Result<Floats> logprobs) {
  Draw d;
  d.rows = tokens->element_count();
  d.width = scores.dimensions()[1];
  d.entries = entries;
  d.shared = scores.dimensions()[0] == 1;
  d.scores = scores.typed_data();
  d.temperature = temperature.typed_data();
  d.top_p = top_p.typed_data();
  d.top_k = top_k.typed_data();
  d.seed = seed.typed_data();
  d.positions = positions.typed_data();
  d.tokens = tokens->typed_data();
  d.logprobs = logprobs->typed_data();
  if (entries < 1 || d.entries > d.width || !(d.shared || size_t(scores.dimensions()[0]) == d.rows))
    return ffi::Error::InvalidArgument("The scores are of another shape than is drawn from.");
  for (size_t count : {temperature.element_count(), top_p.element_count(), top_k.element_count(),
                       seed.element_count(), positions.element_count(), logprobs->element_count()})
    if (count != d.rows) return ffi::Error::InvalidArgument("Each row needs its own sampling.");
  kernels().draw(d);
  return ffi::Error::Success();
}

// Where a matrix lies in a file; see `Rows` in rows.py.
struct Place {
  uint64_t descriptor, start, device, inode;

  bool is_open() const {
    struct stat status;
    return fstat(int(descriptor), &status) == 0 && uint64_t(status.st_dev) == device &&
           uint64_t(status.st_ino) == inode;
  }
};

ffi::Error run_rows(int32_t rows, ffi::Buffer<ffi::U32> where, Ints tokens,
                    ffi::Result<ffi::AnyBuffer> found) {
  Place place;
  if (where.size_bytes() != sizeof place) return ffi::Error::InvalidArgument("That is no place.");
  std::memcpy(&place, where.typed_data(), sizeof place);
  const size_t count = tokens.element_count(), row = count ? found->size_bytes() / count : 0;
  auto* to = static_cast<uint8_t*>(found->untyped_data());
  bool whole = place.is_open();
  for (size_t i = 0; whole && i < count; i++, to += row) {
    const size_t token = std::clamp(tokens.typed_data()[i], 0, rows - 1);
    for (size_t done = 0; whole && done < row;) {
      ssize_t got = pread(int(place.descriptor), to + done, row - done,
                          off_t(place.start + token * row + done));
      if (got > 0) done += got;
      whole = got > 0 || (got < 0 && errno == EINTR);
    }
  }
  if (!whole || !place.is_open())  // another file may have got the descriptor meanwhile
    return ffi::Error(ffi::ErrorCode::kDataLoss, "The model's file can no longer be read.");
  return ffi::Error::Success();
}

}  // namespace
}  // namespace jaxformer

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxformer_block, jaxformer::run_block,
                              ffi::Ffi::Bind()
                                  .Attr<int32_t>("format")
                                  .Attr<int32_t>("heads")
                                  .Attr<float>("epsilon")
                                  .Arg<jaxformer::Floats>()        // x
                                  .Arg<jaxformer::Ints>()          // positions
                                  .Arg<jaxformer::Floats>()        // sin
                                  .Arg<jaxformer::Floats>()        // cos
                                  .Arg<jaxformer::Floats>()        // norm_scale
                                  .Arg<jaxformer::Floats>()        // norm_bias
                                  .Arg<ffi::AnyBuffer>()           // in
                                  .Arg<jaxformer::Floats>()        // in_scales
                                  .Arg<jaxformer::Floats>()        // in_bias
                                  .Arg<ffi::AnyBuffer>()           // attended_out
                                  .Arg<jaxformer::Floats>()        // attended_scales
                                  .Arg<ffi::AnyBuffer>()           // inner_out
                                  .Arg<jaxformer::Floats>()        // inner_scales
                                  .Arg<jaxformer::Floats>()        // out_bias
                                  .Arg<ffi::AnyBuffer>()           // keys, which become the result's
                                  .Arg<ffi::AnyBuffer>()           // values, the same
                                  .Ret<jaxformer::Floats>()        // y
                                  .Ret<ffi::AnyBuffer>()           // keys
                                  .Ret<ffi::AnyBuffer>());         // values

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxformer_head, jaxformer::run_head,
                              ffi::Ffi::Bind()
                                  .Attr<int32_t>("format")
                                  .Attr<float>("epsilon")
                                  .Arg<jaxformer::Floats>()   // x
                                  .Arg<jaxformer::Floats>()   // norm_scale
                                  .Arg<jaxformer::Floats>()   // norm_bias
                                  .Arg<ffi::AnyBuffer>()      // out
                                  .Arg<jaxformer::Floats>()   // out_scales
                                  .Arg<jaxformer::Floats>()   // bias
                                  .Ret<jaxformer::Floats>());  // y

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxformer_draw, jaxformer::run_draw,
                              ffi::Ffi::Bind()
                                  .Attr<int32_t>("entries")
                                  .Arg<jaxformer::Floats>()      // scores
                                  .Arg<jaxformer::Floats>()      // temperature
                                  .Arg<jaxformer::Floats>()      // top_p
                                  .Arg<jaxformer::Ints>()        // top_k
                                  .Arg<ffi::Buffer<ffi::U32>>()  // seed
                                  .Arg<jaxformer::Ints>()        // positions
                                  .Ret<jaxformer::Ints>()        // tokens
                                  .Ret<jaxformer::Floats>());    // logprobs

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxformer_rows, jaxformer::run_rows,
                              ffi::Ffi::Bind()
                                  .Attr<int32_t>("rows")
                                  .Arg<ffi::Buffer<ffi::U32>>()  // where
                                  .Arg<jaxformer::Ints>()        // tokens
                                  .Ret<ffi::AnyBuffer>());       // found

// Of packed weights; the same as in library.py.
extern "C" int jaxformer_layout() { return 1; }
extern "C" const char* jaxformer_instruction_set() { return jaxformer::kernels().name; }
#pragma GCC visibility pop
