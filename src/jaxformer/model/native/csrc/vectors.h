// Vectors of 16 lanes and the few operations on them that differ between processors.
//
// This file is included once for each instruction set, within a namespace of its own and after the
// pragma that turns the set on; everything else is written with the compiler's portable vectors.

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef int8_t i8x16 __attribute__((vector_size(16)));

template <class V>
static inline V load(const void* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class V>
static inline void store(void* to, V v) {
  std::memcpy(to, &v, sizeof v);
}

// Lane by lane: as a sum with zeros it would cost an addition, and could not come from memory.
static inline f32x16 splat(float x) {
  return f32x16{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}
static inline i32x16 splat(int32_t x) { return i32x16{} + x; }
static inline f32x16 as_float(u32x16 v) { return (f32x16)v; }

// a * b + c, rounded once where the processor can. Everything is compiled without contraction, so
// that no other product and sum are fused in one place and not in another.
static inline f32x16 multiply_add(f32x16 a, f32x16 b, f32x16 c) {
#if JAXFORMER_AVX512
  return (f32x16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif JAXFORMER_AVX2
  union {
    f32x16 all;
    __m256 half[2];
  } x = {a}, y = {b}, z = {c};
  for (int i = 0; i < 2; i++) z.half[i] = _mm256_fmadd_ps(x.half[i], y.half[i], z.half[i]);
  return z.all;
#elif defined(__aarch64__)
  union {
    f32x16 all;
    float32x4_t quarter[4];
  } x = {a}, y = {b}, z = {c};
  for (int i = 0; i < 4; i++)
    z.quarter[i] = vfmaq_f32(z.quarter[i], x.quarter[i], y.quarter[i]);
  return z.all;
#else
  return a * b + c;
#endif
}

static inline u32x16 widen(u16x16 v) {
#if JAXFORMER_AVX512
  return (u32x16)_mm512_cvtepu16_epi32((__m256i)v);
#else
  return __builtin_convertvector(v, u32x16);
#endif
}

// Cache values are float32 or bfloat16; both are loaded as float32.
static inline f32x16 load_values(const float* from) { return load<f32x16>(from); }
static inline f32x16 load_values(const uint16_t* from) {
  return as_float(widen(load<u16x16>(from)) << 16);
}
static inline float to_float(float x) { return x; }
static inline float to_float(uint16_t x) {
  uint32_t bits = uint32_t(x) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Rounds to the nearest bfloat16, ties to even.
static inline uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
static inline u16x16 to_bf16(f32x16 v) {
  u32x16 bits = (u32x16)v;
  return __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, u16x16);
}

// The sum of all lanes, in one fixed order.
static inline float sum(f32x16 v) {
  float x[16];
  store(x, v);
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; i++) x[i] += x[i + half];
  return x[0];
}

static inline float largest(f32x16 v) {
  float x[16];
  store(x, v);
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; i++) x[i] = x[i] > x[i + half] ? x[i] : x[i + half];
  return x[0];
}

static inline f32x16 max(f32x16 a, f32x16 b) { return a > b ? a : b; }
static inline f32x16 min(f32x16 a, f32x16 b) { return a < b ? a : b; }

// Rounds to the nearest integer for |v| < 2^22: what is added pushes the fraction out.
static inline f32x16 nearest(f32x16 v) {
  const float push = 12582912.f;
  return (v + push) - push;
}

// e^v, to about one unit in the last place (the polynomial of Cephes' expf).
static inline f32x16 exponential(f32x16 v) {
  v = min(max(v, splat(-87.f)), splat(88.f));
  f32x16 n = nearest(v * 1.44269504088896341f);
  f32x16 r = v - n * 0.693359375f + n * 2.12194440e-4f;
  f32x16 p = splat(1.9875691500e-4f);
  for (float factor : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                       5.0000001201e-1f, 1.f, 1.f})
    p = multiply_add(p, r, splat(factor));
  i32x16 power = (__builtin_convertvector(n, i32x16) + 127) << 23;
  return p * (f32x16)power;
}

// The natural logarithm of a positive normal number, to about one unit in the last place (Cephes'
// logf).
static inline f32x16 logarithm(f32x16 v) {
  u32x16 bits = (u32x16)v;
  f32x16 m = as_float((bits & 0x007fffffu) | 0x3f000000u);  // v = m 2^n, m from 1/2 to 1
  f32x16 n = __builtin_convertvector((i32x16)(bits >> 23) - 126, f32x16);
  i32x16 small = m < splat(0.707106781186547524f);
  n = small ? n - 1.f : n;
  m = (small ? m + m : m) - 1.f;
  f32x16 square = m * m, p = splat(7.0376836292e-2f);
  for (float factor : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                       -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
    p = multiply_add(p, m, splat(factor));
  return m + (p * m * square - 2.12194440e-4f * n - 0.5f * square) + 0.693359375f * n;
}

// The tanh form of GELU: x / (1 + e^(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3).
static inline f32x16 gelu(f32x16 x) {
  f32x16 u = 0.7978845608028654f * (x + 0.044715f * x * x * x);
  return x / (1.f + exponential(-2.f * u));
}

// acc + the products of pairs of bfloat16: the lanes of `w` with the one pair `x`.
static inline f32x16 dot_pairs(f32x16 acc, u32x16 w, uint32_t x) {
#if JAXFORMER_AVX512
  return (f32x16)_mm512_dpbf16_ps((__m512)acc, (__m512bh)w, (__m512bh)_mm512_set1_epi32(int(x)));
#else
  uint32_t first = x << 16, second = x & 0xffff0000u;
  float a, b;
  std::memcpy(&a, &first, 4);
  std::memcpy(&b, &second, 4);
  return multiply_add(as_float(w & 0xffff0000u), splat(b),
                      multiply_add(as_float(w << 16), splat(a), acc));
#endif
}

// acc + the products of four bytes: the lanes of `w` with the one signed four `x`. Where the
// processor multiplies unsigned with signed bytes `w` is unsigned (0 … 255 for -128 … 127, so
// that 128 times the sum of all x is too much); elsewhere it is signed.
#if JAXFORMER_NEON_DOT
constexpr int kByteOffset = 0;
static inline u32x16 byte_weights(u32x16 w) { return w ^ 0x80808080u; }
#else
constexpr int kByteOffset = 128;
static inline u32x16 byte_weights(u32x16 w) { return w; }
#endif
static inline i32x16 dot_bytes(i32x16 acc, u32x16 w, int32_t x) {
#if JAXFORMER_AVX512
  return (i32x16)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, _mm512_set1_epi32(x));
#elif JAXFORMER_AVX2
  // Bytes 0, 2 and 1, 3 as pairs of 16 bits: `vpmaddubsw` would saturate.
  __m256i even = _mm256_set1_epi32((int(int8_t(x)) & 0xffff) | int(uint32_t(int8_t(x >> 16)) << 16));
  __m256i odd = _mm256_set1_epi32((int(int8_t(x >> 8)) & 0xffff) | int(uint32_t(int8_t(x >> 24)) << 16));
  union {
    u32x16 all;
    __m256i half[2];
  } weights = {w}, sums = {(u32x16)acc};
  const __m256i low = _mm256_set1_epi32(0x00ff00ff);
  for (int i = 0; i < 2; i++) {
    __m256i a = _mm256_madd_epi16(_mm256_and_si256(weights.half[i], low), even);
    __m256i b = _mm256_madd_epi16(_mm256_and_si256(_mm256_srli_epi32(weights.half[i], 8), low), odd);
    sums.half[i] = _mm256_add_epi32(sums.half[i], _mm256_add_epi32(a, b));
  }
  return (i32x16)sums.all;
#elif JAXFORMER_NEON_DOT
  union {
    u32x16 all;
    int8x16_t quarter[4];
  } weights = {w};
  union {
    i32x16 all;
    int32x4_t quarter[4];
  } sums = {acc};
  for (int i = 0; i < 4; i++)
    sums.quarter[i] = vdotq_s32(sums.quarter[i], weights.quarter[i],
                                vreinterpretq_s8_s32(vdupq_n_s32(x)));
  return sums.all;
#else
  for (int byte = 0; byte < 4; byte++)
    acc += (i32x16)((w >> (8 * byte)) & 255) * int32_t(int8_t(x >> (8 * byte)));
  return acc;
#endif
}

// Sixteen half-precision numbers as float32.
static inline f32x16 load_halves(const uint16_t* from) {
#if JAXFORMER_AVX512
  return (f32x16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from));
#elif JAXFORMER_AVX2
  union {
    f32x16 all;
    __m256 half[2];
  } v;
  for (int i = 0; i < 2; i++)
    v.half[i] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(from + 8 * i)));
  return v.all;
#else
  // The exponent moves from 5 to 8 bits; a product puts its bias right, for subnormals too.
  u32x16 bits = widen(load<u16x16>(from));
  f32x16 size = as_float((bits & 0x7fff) << 13) * 5.192296858534828e33f;  // 2^112
  return as_float((u32x16)size | ((bits & 0x8000) << 16));
#endif
}

// How many rows of activations are multiplied at one time: as many as registers hold.
#if JAXFORMER_AVX512
constexpr int kRows = 12;
#else
constexpr int kRows = 2;
#endif
