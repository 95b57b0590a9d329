#include "team.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__linux__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace jaxformer {
namespace {

// A job follows another within microseconds while tokens are decoded: look often before resting.
constexpr int kLooks = 20000;
// A thread that waits for one that does not run must let it run.
constexpr int kLooksBeforeYielding = 4000;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Done>
void spin(Done done) {
  for (int looks = 0; !done(); looks++) {
    relax();
    if (looks > kLooksBeforeYielding) std::this_thread::yield();
  }
}

// What JAXFORMER_THREADS says; else what the affinity mask and the container's quota leave.
int processors() {
  if (const char* wish = std::getenv("JAXFORMER_THREADS")) return std::max(std::atoi(wish), 1);
  int count = std::max(int(std::thread::hardware_concurrency()), 1);
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = std::max(CPU_COUNT(&set), 1);
  long quota = 0, period = 0;
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    if (std::fscanf(file, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0)
      count = std::clamp(int(quota / period), 1, count);
    std::fclose(file);
  }
#endif
  return count;
}

// In a process that was forked the helpers are missing, and the lock may be held by nobody.
bool is_fork = false;

}  // namespace

void Team::Worker::meet() {
  if (count == 1) return;
  unsigned meeting = team.meetings_.load(std::memory_order_acquire);
  if (team.waiting_.fetch_add(1, std::memory_order_acq_rel) == count - 1) {
    team.waiting_.store(0, std::memory_order_relaxed);
    team.meetings_.fetch_add(1, std::memory_order_release);
  } else {
    spin([&] { return team.meetings_.load(std::memory_order_acquire) != meeting; });
  }
}

bool Team::Worker::next(int which, size_t size, size_t piece, size_t& first, size_t& last) {
  first = team.shares_[which].fetch_add(piece, std::memory_order_relaxed);
  last = std::min(first + piece, size);
  return first < size;
}

Team& Team::shared() {
  // Never destroyed: its threads may outlive the end of main.
  static Team& team = []() -> Team& {
#if defined(__linux__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] { is_fork = true; });
#endif
    return *new Team(processors());
  }();
  return team;
}

Team::Team(int size) {
  for (int index = 1; index < size; index++) {
    helpers_.emplace_back([this, index] { help(index); });
    helpers_.back().detach();
  }
}

void Team::run(int threads, size_t scratch, const std::function<void(Worker)>& job) {
  std::unique_lock<std::mutex> alone(one_job_, std::defer_lock);
  if (is_fork)
    threads = 1;
  else
    alone.lock();
  for (auto& share : shares_) share.store(0, std::memory_order_relaxed);
  if (scratch > scratch_bytes_) {
    std::free(scratch_);
    scratch_bytes_ = (scratch + (1 << 16)) / 64 * 64;
    scratch_ = static_cast<uint8_t*>(std::aligned_alloc(64, scratch_bytes_));
    if (!scratch_) std::abort();
  }
  threads_ = std::clamp(threads, 1, size());
  if (threads_ > 1) {
    job_ = &job;
    busy_.store(size() - 1, std::memory_order_relaxed);
    jobs_.fetch_add(1, std::memory_order_release);
    jobs_.notify_all();
  }
  job(Worker{*this, 0, threads_, scratch_});
  if (threads_ > 1) spin([&] { return busy_.load(std::memory_order_acquire) == 0; });
}

void Team::help(int index) {
  for (unsigned seen = 0;;) {
    for (int looks = 0; looks < kLooks && jobs_.load(std::memory_order_acquire) == seen; looks++)
      relax();
    jobs_.wait(seen, std::memory_order_acquire);
    seen++;
    if (index < threads_) (*job_)(Worker{*this, index, threads_, scratch_});
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace jaxformer
