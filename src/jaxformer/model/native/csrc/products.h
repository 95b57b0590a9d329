// Products of rows of activations with a packed matrix.
//
// A matrix [in, out] is packed in panels of 32 outputs; within a panel all inputs follow each
// other, each step of them with its 32 outputs side by side, so that a vector's lanes are outputs
// and the panel is read once from front to end. Each output is one chain of sums over the inputs in
// their order: its value depends neither on how many rows there are nor on the threads.
//
// A format says what a step is and what the activations become before it:
//   Float32   one input;  activations as they are
//   BFloat16  two inputs; activations rounded to bfloat16
//   Int8      four inputs as bytes + 128, a scale for each output; activations rounded to bytes
//             with a scale for each row
//   Int4      32 inputs, two in a byte (+ 8), with scales in half precision for each output;
//             activations rounded to bytes with a scale for each row and 32 inputs

constexpr int kPanel = 32;

// Activations made ready for a product.
struct Prepared {
  uint8_t* values;
  float* scales;   // Int8: [row]; Int4: [row][group]
  int32_t* starts; // what the accumulators begin with, to take the weights' offset away; as scales
  size_t stride;   // bytes from row to row
  size_t groups;
};

static inline size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Rounds `count` values to bytes; zeros fill up to `padded`. Returns the scale, and their sum.
static inline float to_bytes(const float* from, size_t count, size_t padded, int8_t* to,
                             int32_t* total) {
  f32x16 high = splat(0.f);
  size_t whole = count / 16 * 16;
  for (size_t i = 0; i < whole; i += 16) {
    f32x16 v = load<f32x16>(from + i);
    high = max(high, max(v, -v));
  }
  float most = largest(high);
  for (size_t i = whole; i < count; i++) most = std::max(most, std::fabs(from[i]));
  float inverse = most > 1e-30f ? 127.f / most : 0.f;
  i32x16 sums = splat(0);
  for (size_t i = 0; i < whole; i += 16) {
    i32x16 v = __builtin_convertvector(nearest(load<f32x16>(from + i) * inverse), i32x16);
    sums += v;
    store(to + i, __builtin_convertvector(v, i8x16));
  }
  int32_t rest = 0;
  for (size_t i = whole; i < count; i++) {
    to[i] = int8_t(std::nearbyintf(from[i] * inverse));
    rest += to[i];
  }
  std::memset(to + count, 0, padded - count);
  for (int i = 0; i < 16; i++) rest += sums[i];
  *total = rest;
  return most / 127.f;
}

// What is fetched while a panel is multiplied: its own next lines or, where several passes over a
// panel leave the memory idle otherwise, this pass's part of the next panel.
struct Ahead {
  const uint8_t* next;
  size_t step;
  inline void fetch() {
    __builtin_prefetch(next);
    __builtin_prefetch(next + 64);
    next += step;
  }
};

// Four bytes after four bytes of R rows. Three rows share a register, which counts: with one each
// they do not fit, and what is moved about then takes the place of multiplications.
template <int R>
struct Columns {
  const uint8_t* next[(R + 2) / 3];
  size_t stride;
  Columns(const Prepared& x, size_t row) : stride(x.stride) {
    for (int i = 0; i < (R + 2) / 3; i++) next[i] = x.values + (row + 3 * i) * stride;
  }
  template <class T>
  inline T at(int r) const {
    T value;
    std::memcpy(&value, next[r / 3] + r % 3 * stride, 4);
    return value;
  }
  inline void advance() {
    for (auto& from : next) from += 4;
  }
};

struct Float32 {
  static constexpr int kMost = kRows;
  static size_t row_bytes(size_t in) { return 4 * in; }
  static size_t groups(size_t) { return 0; }
  static size_t panel_bytes(size_t in) { return 4 * kPanel * in; }
  static void prepare(const float* from, size_t in, const Prepared& to, size_t row) {
    std::memcpy(to.values + row * to.stride, from, 4 * in);
  }
  template <int R>
  static inline void multiply(const uint8_t* w, const float*, const Prepared& x, size_t row,
                              size_t in, Ahead ahead, f32x16 (&out)[R][2]) {
    Columns<R> columns(x, row);
    f32x16 acc[R][2] = {};
    for (const uint8_t* end = w + 128 * in; w < end; w += 128, columns.advance()) {
      ahead.fetch();
      f32x16 a = load<f32x16>(w), b = load<f32x16>(w + 64);
      for (int r = 0; r < R; r++) {
        f32x16 value = splat(columns.template at<float>(r));
        acc[r][0] = multiply_add(a, value, acc[r][0]);
        acc[r][1] = multiply_add(b, value, acc[r][1]);
      }
    }
    std::memcpy(out, acc, sizeof acc);
  }
};

struct BFloat16 {
  static constexpr int kMost = kRows;
  static size_t row_bytes(size_t in) { return 2 * round_up(in, 2); }
  static size_t groups(size_t) { return 0; }
  static size_t panel_bytes(size_t in) { return 2 * kPanel * round_up(in, 2); }
  static void prepare(const float* from, size_t in, const Prepared& to, size_t row) {
    uint16_t* values = (uint16_t*)(to.values + row * to.stride);
    size_t i = 0;
    for (; i + 16 <= in; i += 16) store(values + i, to_bf16(load<f32x16>(from + i)));
    for (; i < in; i++) values[i] = to_bf16(from[i]);
    if (in % 2) values[in] = 0;
  }
  template <int R>
  static inline void multiply(const uint8_t* w, const float*, const Prepared& x, size_t row,
                              size_t in, Ahead ahead, f32x16 (&out)[R][2]) {
    Columns<R> columns(x, row);
    f32x16 acc[R][2] = {};
    for (const uint8_t* end = w + panel_bytes(in); w < end; w += 128, columns.advance()) {
      ahead.fetch();
      u32x16 a = load<u32x16>(w), b = load<u32x16>(w + 64);
      for (int r = 0; r < R; r++) {
        uint32_t pair = columns.template at<uint32_t>(r);
        acc[r][0] = dot_pairs(acc[r][0], a, pair);
        acc[r][1] = dot_pairs(acc[r][1], b, pair);
      }
    }
    std::memcpy(out, acc, sizeof acc);
  }
};

struct Int8 {
  static constexpr int kMost = kRows;
  static size_t row_bytes(size_t in) { return round_up(in, 4); }
  static size_t groups(size_t) { return 1; }
  static size_t panel_bytes(size_t in) { return kPanel * round_up(in, 4); }
  static void prepare(const float* from, size_t in, const Prepared& to, size_t row) {
    int8_t* values = (int8_t*)(to.values + row * to.stride);
    int32_t total;
    to.scales[row] = to_bytes(from, in, round_up(in, 4), values, &total);
    to.starts[row] = -kByteOffset * total;
  }
  template <int R>
  static inline void multiply(const uint8_t* w, const float* scales, const Prepared& x, size_t row,
                              size_t in, Ahead ahead, f32x16 (&out)[R][2]) {
    Columns<R> columns(x, row);
    i32x16 acc[R][2];
    for (int r = 0; r < R; r++) acc[r][0] = acc[r][1] = splat(x.starts[row + r]);
    for (const uint8_t* end = w + panel_bytes(in); w < end; w += 128, columns.advance()) {
      ahead.fetch();
      u32x16 a = byte_weights(load<u32x16>(w)), b = byte_weights(load<u32x16>(w + 64));
      for (int r = 0; r < R; r++) {
        int32_t four = columns.template at<int32_t>(r);
        acc[r][0] = dot_bytes(acc[r][0], a, four);
        acc[r][1] = dot_bytes(acc[r][1], b, four);
      }
    }
    f32x16 one = load<f32x16>(scales), two = load<f32x16>(scales + 16);
    for (int r = 0; r < R; r++) {
      float scale = x.scales[row + r];
      out[r][0] = __builtin_convertvector(acc[r][0], f32x16) * (one * scale);
      out[r][1] = __builtin_convertvector(acc[r][1], f32x16) * (two * scale);
    }
  }
};

struct Int4 {
  static constexpr int kMost = kRows > 6 ? 6 : kRows;
  static constexpr int kGroup = 32;
  static size_t row_bytes(size_t in) { return round_up(in, kGroup); }
  static size_t groups(size_t in) { return (in + kGroup - 1) / kGroup; }
  // A group's 16 bytes for each output, then its scales.
  static size_t panel_bytes(size_t in) { return groups(in) * kPanel * (kGroup / 2 + 2); }
  static void prepare(const float* from, size_t in, const Prepared& to, size_t row) {
    int8_t* values = (int8_t*)(to.values + row * to.stride);
    for (size_t g = 0; g < to.groups; g++) {
      size_t first = g * kGroup, count = std::min<size_t>(kGroup, in - first);
      int32_t total;
      size_t place = row * to.groups + g;
      to.scales[place] = to_bytes(from + first, count, kGroup, values + first, &total);
      to.starts[place] = -8 * total;
    }
  }
  template <int R>
  static inline void multiply(const uint8_t* w, const float*, const Prepared& x, size_t row,
                              size_t, Ahead ahead, f32x16 (&out)[R][2]) {
    const int32_t* rows[R];
    for (int r = 0; r < R; r++) rows[r] = (const int32_t*)(x.values + (row + r) * x.stride);
    f32x16 sums[R][2] = {};
    for (size_t g = 0; g < x.groups; g++) {
      i32x16 acc[R][2];
      for (int r = 0; r < R; r++)
        acc[r][0] = acc[r][1] = splat(x.starts[(row + r) * x.groups + g]);
      for (int step = 0; step < 4; step++, w += 128) {
        ahead.fetch();
        u32x16 a = load<u32x16>(w), b = load<u32x16>(w + 64);
        u32x16 a_low = a & 0x0f0f0f0fu, a_high = (a >> 4) & 0x0f0f0f0fu;
        u32x16 b_low = b & 0x0f0f0f0fu, b_high = (b >> 4) & 0x0f0f0f0fu;
        for (int r = 0; r < R; r++) {
          int32_t first = rows[r][8 * g + 2 * step], second = rows[r][8 * g + 2 * step + 1];
          acc[r][0] = dot_bytes(dot_bytes(acc[r][0], a_low, first), a_high, second);
          acc[r][1] = dot_bytes(dot_bytes(acc[r][1], b_low, first), b_high, second);
        }
      }
      f32x16 one = load_halves((const uint16_t*)w), two = load_halves((const uint16_t*)w + 16);
      w += 64;
      for (int r = 0; r < R; r++) {
        float scale = x.scales[(row + r) * x.groups + g];
        f32x16 first = __builtin_convertvector(acc[r][0], f32x16);
        f32x16 second = __builtin_convertvector(acc[r][1], f32x16);
        sums[r][0] = multiply_add(first, one * scale, sums[r][0]);
        sums[r][1] = multiply_add(second, two * scale, sums[r][1]);
      }
    }
    std::memcpy(out, sums, sizeof sums);
  }
};

template <class Format, int R, class Finish>
static inline void rows_by_panel(const uint8_t* w, const float* scales, const Prepared& x,
                                 size_t row, size_t in, Ahead ahead, Finish&& finish) {
  f32x16 out[R][2];
  Format::template multiply<R>(w, scales, x, row, in, ahead, out);
  for (int r = 0; r < R; r++) {
    finish(row + r, 0, out[r][0]);
    finish(row + r, 16, out[r][1]);
  }
}

// All rows times one panel; finish(row, lane, values) receives 16 outputs from `lane` on.
template <class Format, class Finish>
static inline void by_panel(const uint8_t* w, const float* scales, const Prepared& x, size_t rows,
                            size_t in, Finish&& finish) {
  const size_t bytes = Format::panel_bytes(in);
  const size_t passes = (rows + Format::kMost - 1) / Format::kMost;
  size_t row = 0;
  auto take = [&](auto count) {
    constexpr int R = decltype(count)::value;
    if constexpr (R <= Format::kMost)
      for (; row + R <= rows; row += R) {
        Ahead ahead = {w + 2048, 128};
        if (passes > 1) ahead = {w + bytes + bytes * row / rows, 128 / passes};
        rows_by_panel<Format, R>(w, scales, x, row, in, ahead, finish);
      }
  };
  if (rows == 16) take(std::integral_constant<int, 8>());  // evener than 12 and 4
  take(std::integral_constant<int, 12>());
  take(std::integral_constant<int, 6>());
  take(std::integral_constant<int, 4>());
  take(std::integral_constant<int, 2>());
  take(std::integral_constant<int, 1>());
}
