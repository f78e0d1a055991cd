// Mutex, MutexLock, GUARDED_BY: a std::mutex that clang's -Wthread-safety can check.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define PF_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define PF_THREAD_ANNOTATION(x)
#endif

#define GUARDED_BY(x) PF_THREAD_ANNOTATION(guarded_by(x))
#define REQUIRES(...) PF_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))

namespace pixelfleet {

class PF_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() PF_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() PF_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class PF_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) PF_THREAD_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() PF_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits with the annotated Mutex held, as std::condition_variable does with a std::mutex.
class CondVar {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) { cond_.wait(mutex); }
  template <class Deadline>
  std::cv_status wait_until(Mutex& mutex, const Deadline& deadline) REQUIRES(mutex) {
    return cond_.wait_until(mutex, deadline);
  }
  void notify_one() { cond_.notify_one(); }
  void notify_all() { cond_.notify_all(); }

 private:
  std::condition_variable_any cond_;
};

}  // namespace pixelfleet
