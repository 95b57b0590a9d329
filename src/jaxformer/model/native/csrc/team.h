// A team of threads that does one job at a time, together.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace jaxformer {

// Places in a job where work is shared out; each is used once in a job.
constexpr int kShares = 8;

class Team {
 public:
  // What one thread of the team sees of it.
  struct Worker {
    Team& team;
    int index;
    int count;
    uint8_t* scratch;  // the same for all, and free after the job

    // Waits until all are here.
    void meet();
    // Takes the next piece of share `which`: true with [first, last) while there is work left.
    bool next(int which, size_t size, size_t piece, size_t& first, size_t& last);
  };

  // A thread for each processor that this process may run on; they live as long as the process.
  static Team& shared();

  // Runs the job on `threads` threads at most, this one among them, with so many bytes of scratch
  // memory; returns when all are done.
  void run(int threads, size_t scratch, const std::function<void(Worker)>& job);

  int size() const { return int(helpers_.size()) + 1; }

 private:
  explicit Team(int size);
  void help(int index);

  std::vector<std::thread> helpers_;
  std::mutex one_job_;
  const std::function<void(Worker)>* job_ = nullptr;
  int threads_ = 1;
  uint8_t* scratch_ = nullptr;
  size_t scratch_bytes_ = 0;
  std::atomic<unsigned> jobs_{0};
  std::atomic<int> busy_{0};
  std::atomic<int> waiting_{0};
  std::atomic<unsigned> meetings_{0};
  std::atomic<size_t> shares_[kShares];
};

}  // namespace jaxformer
