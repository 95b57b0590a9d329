// Attention over a cache: each query sees the slots up to its own position.
//
// One query is one chain of operations in a fixed order, whatever else is computed with it and
// however large the cache is.

// Lane i of the result is the sum of vector i.
static inline f32x16 sums_of(f32x16 (&v)[16]) {
#if JAXFORMER_AVX512
#pragma GCC unroll 4
  for (int level = 0; level < 4; level++) {
    // Pairs of vectors become one: the first of a pair keeps the lanes without this bit.
    const int bit = 1 << level;
    i32x16 lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    i32x16 low = (lanes & ~bit) + (((lanes & bit) != 0) & 16), high = low + bit;
#pragma GCC unroll 8
    for (int i = 0; i < (8 >> level); i++) {
      __m512 a = (__m512)v[2 * i], b = (__m512)v[2 * i + 1];
      v[i] = (f32x16)_mm512_permutex2var_ps(a, (__m512i)low, b) +
             (f32x16)_mm512_permutex2var_ps(a, (__m512i)high, b);
    }
  }
  return v[0];
#else
  f32x16 sums;
  for (int i = 0; i < 16; i++) sums[i] = sum(v[i]);
  return sums;
#endif
}

// The first `count` of 16 values, zeros behind them.
template <class T>
static inline f32x16 load_values(const T* from, size_t count) {
  if (count >= 16) return load_values(from);
  f32x16 v = splat(0.f);
  for (size_t i = 0; i < count; i++) v[i] = to_float(from[i]);
  return v;
}

// Attention of R queries of one sequence and one head.
//   queries    [R] -> head_dim values, zeros up to a multiple of 16
//   keys       [slots][head_dim], as are `values`
//   positions  [R]
//   scores     room for R rows of `room` values, a multiple of 16 not below any position + 1
//   outputs    [R] -> head_dim values
template <class T, int R>
static void attend(const float* const* queries, const T* keys, const T* values, size_t head_dim,
                   const int32_t* positions, float* scores, size_t room,
                   float* const* outputs) {
  size_t longest = 0;
  for (int r = 0; r < R; r++) longest = std::max<size_t>(longest, positions[r] + 1);
  const float scale = 1.f / std::sqrt(float(head_dim));
  for (size_t slot = 0; slot < longest; slot += 16) {
    f32x16 parts[R][16];
    for (size_t i = 0; i < 16; i++) {
      const T* key = keys + std::min(slot + i, longest - 1) * head_dim;
      f32x16 part[R] = {};
      for (size_t d = 0; d < head_dim; d += 16) {
        f32x16 piece = load_values(key + d, head_dim - d);
        for (int r = 0; r < R; r++) part[r] = multiply_add(load<f32x16>(queries[r] + d), piece, part[r]);
      }
      for (int r = 0; r < R; r++) parts[r][i] = part[r];
    }
    for (int r = 0; r < R; r++) store(scores + r * room + slot, sums_of(parts[r]) * scale);
  }
  float totals[R];
  for (int r = 0; r < R; r++) {
    float* row = scores + r * room;
    size_t seen = positions[r] + 1;
    for (size_t i = seen; i < round_up(seen, 16); i++) row[i] = row[seen - 1];
    f32x16 high = load<f32x16>(row);
    for (size_t i = 16; i < seen; i += 16) high = max(high, load<f32x16>(row + i));
    float most = largest(high);
    for (size_t i = 0; i < seen; i += 16) store(row + i, exponential(load<f32x16>(row + i) - most));
    for (size_t i = seen; i < round_up(longest, 16); i++) row[i] = 0;
    f32x16 total = splat(0.f);
    for (size_t i = 0; i < seen; i += 16) total += load<f32x16>(row + i);
    totals[r] = sum(total);
  }
  for (size_t d = 0; d < head_dim; d += 64) {
    f32x16 out[R][4] = {};
    if (head_dim - d >= 64) {
      for (size_t slot = 0; slot < longest; slot++)
        for (int part = 0; part < 4; part++) {
          f32x16 piece = load_values(values + slot * head_dim + d + 16 * part);
          for (int r = 0; r < R; r++) out[r][part] = multiply_add(piece, splat(scores[r * room + slot]), out[r][part]);
        }
    } else {
      for (size_t slot = 0; slot < longest; slot++)
        for (size_t part = 0; d + 16 * part < head_dim; part++) {
          size_t first = d + 16 * part;
          f32x16 piece = load_values(values + slot * head_dim + first, head_dim - first);
          for (int r = 0; r < R; r++) out[r][part] = multiply_add(piece, splat(scores[r * room + slot]), out[r][part]);
        }
    }
    for (int r = 0; r < R; r++)
      for (size_t part = 0; part < 4 && d + 16 * part < head_dim; part++) {
        f32x16 result = out[r][part] / totals[r];
        size_t first = d + 16 * part;
        std::memcpy(outputs[r] + first, &result, 4 * std::min<size_t>(16, head_dim - first));
      }
  }
}
