// What the kernels are called with. Everything is row-major; sizes are in values, not bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "team.h"

namespace jaxformer {

enum class Format { kFloat32 = 0, kBFloat16 = 1, kInt8 = 2, kInt4 = 3 };

struct Matrix {
  const uint8_t* panels;
  const float* scales;  // Int8 only: of each output, panels filled up
};

// One block of the model for some tokens; see `_block` in forward.py.
struct Block {
  Format format;
  size_t rows, tokens, width, inner, heads, head_dim, slots, rotary_half;
  float epsilon;
  const float* x;            // [rows, tokens, width]
  const int32_t* positions;  // [rows, tokens]
  const float *sin, *cos;    // [positions, rotary_half]
  const float *norm_scale, *norm_bias;
  Matrix in;  // [width, 3 width | inner]: q, k and v, a new panel, then the MLP
  Matrix attended_out, inner_out;
  const float *in_bias, *out_bias;
  void *keys, *values;  // [rows, heads, slots, head_dim] float32 or bfloat16, written in place
  float* y;             // [rows, tokens, width]
};

// The final LayerNorm and the scores of the vocabulary.
struct Head {
  Format format;
  size_t rows, width, entries;
  float epsilon;
  const float* x;  // [rows, width]
  const float *norm_scale, *norm_bias;
  Matrix out;
  const float* bias;
  float* y;  // [rows, entries]
};

// The next token of each row and its log-probability; see `sample` in generation/sampling.py.
struct Draw {
  size_t rows, width, entries;  // the first `entries` of the scores are tokens'
  bool shared;                  // one row of scores is for all
  const float* scores;          // [rows | 1, width]
  const float *temperature, *top_p;
  const int32_t* top_k;
  const uint32_t* seed;
  const int32_t* positions;
  int32_t* tokens;
  float* logprobs;
};

// The same for each instruction set; the best that the processor has is taken.
struct Kernels {
  const char* name;
  void (*block)(const Block&);
  void (*head)(const Head&);
  void (*draw)(const Draw&);
};
extern const Kernels kBaseKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

}  // namespace jaxformer
