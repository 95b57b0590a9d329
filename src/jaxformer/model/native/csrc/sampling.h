// Drawing the next token: what `sample` in generation/sampling.py computes, noise included.

// Threefry-2x32 in 20 rounds (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3").
template <class V>
static inline void threefry(uint32_t key0, uint32_t key1, V& x0, V& x1) {
  constexpr int kTurns[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const uint32_t keys[3] = {key0, key1, key0 ^ key1 ^ 0x1bd11bdau};
  x0 += keys[0];
  x1 += keys[1];
#pragma GCC unroll 5
  for (int i = 0; i < 5; i++) {
#pragma GCC unroll 4
    for (int turn : kTurns[i % 2]) {
      x0 += x1;
      x1 = ((x1 << turn) | (x1 >> (32 - turn))) ^ x0;
    }
    x0 += keys[(i + 1) % 3];
    x1 += keys[(i + 2) % 3] + uint32_t(i + 1);
  }
}

struct Key {
  uint32_t first, second;
};

// jax.random.fold_in(jax.random.key(seed), position).
static Key key_at(uint32_t seed, int32_t position) {
  Key key = {0, uint32_t(position)};
  threefry(0, seed, key.first, key.second);
  return key;
}

// Places `first` … `first` + 15 of jax.random.gumbel, whatever its shape.
static inline f32x16 gumbel(Key key, uint32_t first) {
  u32x16 high = {}, low = u32x16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} + first;
  threefry(key.first, key.second, high, low);
  f32x16 uniform = as_float(((high ^ low) >> 9) | 0x3f800000u) - 1.f;
  uniform = max(uniform, splat(std::numeric_limits<float>::min()));
  return -logarithm(-logarithm(uniform));
}

// The first `count` of 16 scores, impossible ones behind them.
static inline f32x16 load_scores(const float* from, size_t count) {
  if (count >= 16) return load<f32x16>(from);
  f32x16 v = splat(-std::numeric_limits<float>::infinity());
  for (size_t i = 0; i < count; i++) v[i] = from[i];
  return v;
}

// The logarithm of the sum of e^x, the largest of which is known.
static float log_of_sum(const float* x, size_t count, float most) {
  f32x16 total = splat(0.f);
  for (size_t i = 0; i < count; i += 16)
    total += exponential(load_scores(x + i, count - i) - most);
  return most + std::log(sum(total));
}

// The place of the largest sum of log-probability and noise; every token has the noise of its id.
static size_t draw_freely(const float* logprobs, size_t count, Key key, size_t otherwise) {
  f32x16 best = splat(-std::numeric_limits<float>::infinity());
  i32x16 places = splat(int32_t(otherwise)), place = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (size_t i = 0; i < count; i += 16, place += 16) {
    f32x16 value = load_scores(logprobs + i, count - i) + gumbel(key, uint32_t(i));
    places = value > best ? place : places;
    best = max(value, best);
  }
  const float most = largest(best);
  int32_t found = std::numeric_limits<int32_t>::max();
  for (int lane = 0; lane < 16; lane++)
    if (best[lane] == most) found = std::min(found, places[lane]);
  return size_t(found) < count ? size_t(found) : otherwise;
}

// A number that is larger for what is likelier, and for the lower id of two that are equally so.
static inline uint64_t rank_of(float logprob, size_t id) {
  uint32_t bits;
  std::memcpy(&bits, &logprob, sizeof bits);
  bits = bits >> 31 ? ~bits : bits | 0x80000000u;
  return uint64_t(bits) << 32 | (0xffffffffu - uint32_t(id));
}

// The same among the likeliest whose probabilities reach `top_p`, `top_k` at most (0 for all); a
// token has the noise of its rank. Mostly few are kept, and few are put in order: those above e^-7,
// which are 1,096 at most, then above e^-11, then all.
static size_t draw_by_rank(const float* logprobs, size_t count, Key key, float top_p, int32_t top_k,
                           uint64_t* ranked, size_t otherwise) {
  const float least = -std::numeric_limits<float>::infinity();
  size_t chosen = otherwise;
  for (float floor : {-7.f, -11.f, least}) {
    size_t found = 0;
    for (size_t id = 0; id < count; id++)
      if (logprobs[id] >= floor) ranked[found++] = rank_of(logprobs[id], id);
    std::sort(ranked, ranked + found, std::greater<uint64_t>());
    float best = least, noise[16];
    double before = 0;
    for (size_t rank = 0;; rank++) {
      bool kept = before < top_p && (top_k <= 0 || rank < size_t(top_k));
      if (rank && !kept) return chosen;
      if (rank == found) break;
      if (rank % 16 == 0) store(noise, gumbel(key, uint32_t(rank)));
      size_t id = 0xffffffffu - uint32_t(ranked[rank]);
      if (float value = logprobs[id] + noise[rank % 16]; value > best) {
        best = value;
        chosen = id;
      }
      before += std::exp(logprobs[id]);
    }
  }
  return chosen;
}

static void draw_row(const Draw& d, size_t row, float* logprobs, uint64_t* ranked) {
  const float* scores = d.scores + (d.shared ? 0 : row * d.width);
  f32x16 high = splat(-std::numeric_limits<float>::infinity());
  i32x16 wrong = {};
  for (size_t i = 0; i < d.entries; i += 16) {
    f32x16 v = load_scores(scores + i, d.entries - i);
    high = max(v, high);
    wrong |= v != v;
  }
  const float most = largest(high), temperature = std::max(d.temperature[row], 1e-6f);
  size_t token = std::find(scores, scores + d.entries, most) - scores;
  if (token == d.entries) token = 0;  // none is a number
  if (d.temperature[row] > 0) {
    for (size_t i = 0; i < d.entries; i += 16)
      store(logprobs + i, load_scores(scores + i, d.entries - i) / temperature);
    const float all = log_of_sum(logprobs, d.entries, most / temperature);
    for (size_t i = 0; i < d.entries; i += 16) store(logprobs + i, load<f32x16>(logprobs + i) - all);
    const Key key = key_at(d.seed[row], d.positions[row]);
    const bool free = d.top_p[row] >= 1 && d.top_k[row] <= 0;
    token = free ? draw_freely(logprobs, d.entries, key, token)
                 : draw_by_rank(logprobs, d.entries, key, d.top_p[row], d.top_k[row], ranked, token);
  }
  d.tokens[row] = int32_t(token);
  d.logprobs[row] = scores[token] - log_of_sum(scores, d.entries, most);
  for (int lane = 0; lane < 16; lane++)
    if (wrong[lane]) d.logprobs[row] = std::numeric_limits<float>::quiet_NaN();
}

static void draw(const Draw& d) {
  Team& team = Team::shared();
  const size_t room = round_up(d.entries, 16), own = 4 * room + 8 * room;
  const bool alone = d.rows * d.entries < kAlone;
  const int threads = alone ? 1 : int(std::min<size_t>(team.size(), d.rows));
  team.run(threads, threads * own, [&](Team::Worker worker) {
    float* logprobs = (float*)(worker.scratch + worker.index * own);
    size_t first, last;
    while (worker.next(0, d.rows, 1, first, last))
      draw_row(d, first, logprobs, (uint64_t*)(logprobs + room));
  });
}
