// Runs the kernels on what a file holds: `arm_main block|head|draw FILE`, on an emulated ARM processor.
// The file: sizes and epsilon, then each array, in the order below; before each its bytes' number.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "calls.h"

using namespace jaxformer;

static std::FILE* file;

static std::vector<char> next() {
  uint64_t size;
  if (std::fread(&size, 8, 1, file) != 1) std::abort();
  std::vector<char> bytes(size + 64);  // a vector may be read past an array's end
  if (std::fread(bytes.data(), 1, size, file) != size) std::abort();
  return bytes;
}

static std::vector<std::vector<char>> kept;
template <typename T>
static T* array() {
  kept.push_back(next());
  return reinterpret_cast<T*>(kept.back().data());
}

static void write(const void* bytes, size_t size) { std::fwrite(bytes, 1, size, stdout); }

int main(int, char** arguments) {
  file = std::fopen(arguments[2], "rb");
  kept.reserve(64);
  const int32_t* n = array<int32_t>();
  float epsilon = *array<float>();
  std::fprintf(stderr, "%s", kBaseKernels.name);
  if (!std::strcmp(arguments[1], "block")) {
    Block b;
    b.format = Format(n[0]);
    b.rows = n[1], b.tokens = n[2], b.width = n[3], b.inner = n[4];
    b.heads = n[5], b.head_dim = n[6], b.slots = n[7], b.rotary_half = n[8];
    b.epsilon = epsilon;
    b.x = array<float>();
    b.positions = array<int32_t>();
    b.sin = array<float>();
    b.cos = array<float>();
    b.norm_scale = array<float>();
    b.norm_bias = array<float>();
    for (Matrix* matrix : {&b.in, &b.attended_out, &b.inner_out}) {
      matrix->panels = array<uint8_t>();
      matrix->scales = array<float>();
    }
    b.in_bias = array<float>();
    b.out_bias = array<float>();
    b.keys = array<char>();
    b.values = array<char>();
    std::vector<float> y(b.rows * b.tokens * b.width);
    b.y = y.data();
    kBaseKernels.block(b);
    write(y.data(), 4 * y.size());
    size_t size = b.rows * b.heads * b.slots * b.head_dim * (n[0] == 0 ? 4 : 2);
    write(b.keys, size);
    write(b.values, size);
  } else if (!std::strcmp(arguments[1], "draw")) {
    Draw d;
    d.rows = n[0], d.width = n[1], d.entries = n[2];
    d.shared = false;
    d.scores = array<float>();
    d.temperature = array<float>();
    d.top_p = array<float>();
    d.top_k = array<int32_t>();
    d.seed = array<uint32_t>();
    d.positions = array<int32_t>();
    std::vector<int32_t> tokens(d.rows);
    std::vector<float> logprobs(d.rows);
    d.tokens = tokens.data(), d.logprobs = logprobs.data();
    kBaseKernels.draw(d);
    write(tokens.data(), 4 * d.rows);
    write(logprobs.data(), 4 * d.rows);
  } else {
    Head h;
    h.format = Format(n[0]);
    h.rows = n[1], h.width = n[2], h.entries = n[3];
    h.epsilon = epsilon;
    h.x = array<float>();
    h.norm_scale = array<float>();
    h.norm_bias = array<float>();
    h.out.panels = array<uint8_t>();
    h.out.scales = array<float>();
    h.bias = array<float>();
    std::vector<float> y(h.rows * h.entries);
    h.y = y.data();
    kBaseKernels.head(h);
    write(y.data(), 4 * y.size());
  }
}
