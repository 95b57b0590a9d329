// The kernels, for the instruction set that the including file has turned on.

#include "vectors.h"

#include "products.h"

#include "attention.h"

// Hands out scratch memory in aligned pieces.
struct Pool {
  uint8_t* next;
  template <class T>
  T* take(size_t count) {
    T* taken = (T*)next;
    next += round_up(count * sizeof(T), 64);
    return taken;
  }
};

// Bytes from one row of activations to the next: an odd number of cache lines, because the rows
// that are multiplied together would share one set of the cache at a power of two.
template <class Format>
static size_t row_stride(size_t in) {
  return round_up(Format::row_bytes(in), 64) | 64;
}

template <class Format>
static size_t prepared_bytes(size_t rows, size_t in) {
  size_t scales = round_up(rows * Format::groups(in) * 4, 64);
  return rows * row_stride<Format>(in) + 2 * scales;
}

template <class Format>
static Prepared room_for(Pool& pool, size_t rows, size_t in) {
  Prepared x;
  x.stride = row_stride<Format>(in);
  x.groups = Format::groups(in);
  x.values = pool.take<uint8_t>(rows * x.stride);
  x.scales = pool.take<float>(rows * x.groups);
  x.starts = pool.take<int32_t>(rows * x.groups);
  return x;
}

static void layer_norm(const float* x, size_t width, const float* scale, const float* bias,
                       float epsilon, float* y) {
  size_t whole = width / 16 * 16;
  f32x16 total = splat(0.f);
  float rest = 0;
  for (size_t i = 0; i < whole; i += 16) total += load<f32x16>(x + i);
  for (size_t i = whole; i < width; i++) rest += x[i];
  float mean = (sum(total) + rest) / float(width);
  f32x16 squares = splat(0.f);
  rest = 0;
  for (size_t i = 0; i < whole; i += 16) {
    f32x16 v = load<f32x16>(x + i) - mean;
    squares += v * v;
  }
  for (size_t i = whole; i < width; i++) rest += (x[i] - mean) * (x[i] - mean);
  float inverse = 1.f / std::sqrt((sum(squares) + rest) / float(width) + epsilon);
  for (size_t i = 0; i < whole; i += 16)
    store(y + i, (load<f32x16>(x + i) - mean) * inverse * load<f32x16>(scale + i) +
                     load<f32x16>(bias + i));
  for (size_t i = whole; i < width; i++) y[i] = (x[i] - mean) * inverse * scale[i] + bias[i];
}

// Rotates the interleaved pairs of the leading dimensions of a head.
static void rotate(float* x, const float* sin, const float* cos, size_t half) {
  for (size_t i = 0; i < half; i++) {
    float even = x[2 * i], odd = x[2 * i + 1];
    x[2 * i] = even * cos[i] - odd * sin[i];
    x[2 * i + 1] = odd * cos[i] + even * sin[i];
  }
}

static inline void put(float* to, float x) { *to = x; }
static inline void put(uint16_t* to, float x) { *to = to_bf16(x); }

// Fewer weights than this are not worth waking other threads for.
constexpr size_t kAlone = 1 << 16;
// A share of panels: small enough that threads end together, large enough to read in a stream.
static size_t share(size_t panels, int threads) {
  return std::max<size_t>(panels / (8 * threads), 1);
}

static inline bool is_live(const Block& b, size_t token) {
  return b.positions[token] >= 0 && size_t(b.positions[token]) < b.slots;
}

template <class Format, class T>
static void run_block(const Block& b) {
  const size_t all = b.rows * b.tokens, width = b.width;
  size_t rows = 0;
  for (size_t i = 0; i < all; i++) rows += is_live(b, i);
  Team& team = Team::shared();
  const size_t qkv = round_up(3 * width, kPanel), mlp = round_up(b.inner, kPanel);
  const size_t dim16 = round_up(b.head_dim, 16), room = round_up(b.slots, 16);
  const size_t threads = team.size();
  size_t bytes = prepared_bytes<Format>(rows, width) * 2 + prepared_bytes<Format>(rows, b.inner) +
                 4 * (rows * (qkv + mlp + b.heads * dim16 + width) +
                      threads * (width + kPanel + 4 * room) + all) + 64 * 16;
  const bool alone = width * (qkv + mlp) * rows < kAlone * 8;

  team.run(alone ? 1 : int(threads), bytes, [&](Team::Worker worker) {
    Pool pool{worker.scratch};
    Prepared normal = room_for<Format>(pool, rows, width);
    Prepared attended = room_for<Format>(pool, rows, width);
    Prepared inner = room_for<Format>(pool, rows, b.inner);
    float* projected = pool.take<float>(rows * qkv);
    float* hidden = pool.take<float>(rows * mlp);
    float* queries = pool.take<float>(rows * b.heads * dim16);
    float* mixed = pool.take<float>(rows * width);
    float* own = pool.take<float>(threads * (width + kPanel + 4 * room)) +
                 worker.index * (width + kPanel + 4 * room);
    uint32_t* live = pool.take<uint32_t>(all);
    size_t first, last;

    // Tokens without a position are nobody's: what is left of the batch is computed.
    if (worker.index == 0)
      for (size_t i = 0, row = 0; i < all; i++) {
        if (is_live(b, i))
          live[row++] = uint32_t(i);
        else
          std::memset(b.y + i * width, 0, 4 * width);
      }
    worker.meet();

    while (worker.next(0, rows, 1, first, last)) {
      layer_norm(b.x + live[first] * width, width, b.norm_scale, b.norm_bias, b.epsilon, own);
      Format::prepare(own, width, normal, first);
    }
    worker.meet();

    const size_t in_panels = (qkv + mlp) / kPanel, in_bytes = Format::panel_bytes(width);
    while (worker.next(1, in_panels, share(in_panels, worker.count), first, last))
      for (size_t panel = first; panel < last; panel++) {
        const uint8_t* w = b.in.panels + panel * in_bytes;
        const float* scales = b.in.scales + panel * kPanel;
        if (panel * kPanel < qkv) {
          by_panel<Format>(w, scales, normal, rows, width, [&](size_t row, int lane, f32x16 v) {
            store(projected + row * qkv + panel * kPanel + lane, v);
          });
        } else {
          size_t column = panel * kPanel - qkv;
          by_panel<Format>(w, scales, normal, rows, width, [&](size_t row, int lane, f32x16 v) {
            size_t place = column + lane;
            f32x16 bias = place < b.inner ? load_values(b.in_bias + place, b.inner - place)
                                          : splat(0.f);
            store(hidden + row * mlp + place, gelu(v + bias));
          });
        }
      }
    worker.meet();

    T *keys = (T*)b.keys, *values = (T*)b.values;
    const size_t per_head = b.slots * b.head_dim;
    while (worker.next(2, rows, 1, first, last)) {
      size_t token = live[first], position = b.positions[token];
      float* q = projected + first * qkv;
      const float* sin = b.sin + position * b.rotary_half;
      const float* cos = b.cos + position * b.rotary_half;
      size_t slot = (token / b.tokens) * b.heads * per_head + position * b.head_dim;
      for (size_t head = 0; head < b.heads; head++) {
        float* one = q + head * b.head_dim;
        rotate(one, sin, cos, b.rotary_half);
        rotate(one + width, sin, cos, b.rotary_half);
        float* query = queries + (first * b.heads + head) * dim16;
        std::memcpy(query, one, 4 * b.head_dim);
        std::memset(query + b.head_dim, 0, 4 * (dim16 - b.head_dim));
        for (size_t i = 0; i < b.head_dim; i++) {
          put(keys + slot + head * per_head + i, one[width + i]);
          put(values + slot + head * per_head + i, one[2 * width + i]);
        }
      }
      Format::prepare(hidden + first * mlp, b.inner, inner, first);
    }
    worker.meet();

    // Up to four neighbouring tokens of a sequence share what is read of the cache.
    const size_t groups = (rows + 3) / 4;
    while (worker.next(3, groups * b.heads, 1, first, last)) {
      size_t head = first % b.heads, begin = first / b.heads * 4;
      size_t end = std::min(begin + 4, rows);
      float* scores = own + width + kPanel;
      for (size_t row = begin; row < end;) {
        size_t sequence = live[row] / b.tokens, count = 1;
        while (row + count < end && live[row + count] / b.tokens == sequence) count++;
        if (count < 4) count = 1;
        const float* from[4];
        float* to[4];
        int32_t positions[4];
        for (size_t i = 0; i < count; i++) {
          from[i] = queries + ((row + i) * b.heads + head) * dim16;
          to[i] = mixed + (row + i) * width + head * b.head_dim;
          positions[i] = b.positions[live[row + i]];
        }
        size_t start = (sequence * b.heads + head) * per_head;
        (count == 4 ? attend<T, 4> : attend<T, 1>)(from, keys + start, values + start, b.head_dim,
                                                   positions, scores, room, to);
        row += count;
      }
    }
    worker.meet();

    while (worker.next(4, rows, 1, first, last))
      Format::prepare(mixed + first * width, width, attended, first);
    worker.meet();

    const size_t out_panels = (width + kPanel - 1) / kPanel;
    const size_t attended_bytes = Format::panel_bytes(width);
    const size_t inner_bytes = Format::panel_bytes(b.inner);
    while (worker.next(5, out_panels, share(out_panels, worker.count), first, last))
      for (size_t panel = first; panel < last; panel++) {
        auto add = [&](auto&& base) {
          return [&, base](size_t row, int lane, f32x16 v) {
            size_t place = panel * kPanel + lane;
            if (place >= width) return;
            size_t count = std::min<size_t>(16, width - place);
            float* to = b.y + live[row] * width + place;
            v += base(row, place, count);
            std::memcpy(to, &v, 4 * count);
          };
        };
        by_panel<Format>(b.attended_out.panels + panel * attended_bytes,
                         b.attended_out.scales + panel * kPanel, attended, rows, width,
                         add([&](size_t row, size_t place, size_t count) {
                           return load_values(b.x + live[row] * width + place, count);
                         }));
        by_panel<Format>(b.inner_out.panels + panel * inner_bytes,
                         b.inner_out.scales + panel * kPanel, inner, rows, b.inner,
                         add([&](size_t row, size_t place, size_t count) {
                           return load_values(b.y + live[row] * width + place, count) +
                                  load_values(b.out_bias + place, count);
                         }));
      }
  });
}

template <class Format>
static void run_head(const Head& h) {
  Team& team = Team::shared();
  size_t bytes = prepared_bytes<Format>(h.rows, h.width) + 4 * team.size() * h.width + 64 * 8;
  const size_t panels = (h.entries + kPanel - 1) / kPanel;
  const bool alone = h.width * h.entries * h.rows < kAlone * 8;
  team.run(alone ? 1 : team.size(), bytes, [&](Team::Worker worker) {
    Pool pool{worker.scratch};
    Prepared x = room_for<Format>(pool, h.rows, h.width);
    float* own = pool.take<float>(team.size() * h.width) + worker.index * h.width;
    size_t first, last;
    while (worker.next(0, h.rows, 1, first, last)) {
      layer_norm(h.x + first * h.width, h.width, h.norm_scale, h.norm_bias, h.epsilon, own);
      Format::prepare(own, h.width, x, first);
    }
    worker.meet();
    const size_t panel_bytes = Format::panel_bytes(h.width);
    while (worker.next(1, panels, share(panels, worker.count), first, last))
      for (size_t panel = first; panel < last; panel++)
        by_panel<Format>(h.out.panels + panel * panel_bytes, h.out.scales + panel * kPanel, x,
                         h.rows, h.width, [&](size_t row, int lane, f32x16 v) {
                           size_t place = panel * kPanel + lane;
                           if (place >= h.entries) return;
                           size_t count = std::min<size_t>(16, h.entries - place);
                           v += load_values(h.bias + place, count);
                           std::memcpy(h.y + row * h.entries + place, &v, 4 * count);
                         });
  });
}

#include "sampling.h"

static void block(const Block& b) {
  switch (b.format) {
    case ::jaxformer::Format::kFloat32: return run_block<Float32, float>(b);
    case ::jaxformer::Format::kBFloat16: return run_block<BFloat16, uint16_t>(b);
    case ::jaxformer::Format::kInt8: return run_block<Int8, uint16_t>(b);
    case ::jaxformer::Format::kInt4: return run_block<Int4, uint16_t>(b);
  }
}

static void head(const Head& h) {
  switch (h.format) {
    case ::jaxformer::Format::kFloat32: return run_head<Float32>(h);
    case ::jaxformer::Format::kBFloat16: return run_head<BFloat16>(h);
    case ::jaxformer::Format::kInt8: return run_head<Int8>(h);
    case ::jaxformer::Format::kInt4: return run_head<Int4>(h);
  }
}
