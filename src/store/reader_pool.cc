#include "store/reader_pool_internal.h"

namespace pixelfleet::store {

Result<ReaderPool::Lease> ReaderPool::take() {
  {
    MutexLock lock(mutex_);
    while (idle_.empty() && opened_ >= connections_max_) returned_.wait(mutex_);
    if (!idle_.empty()) {
      // The one that came back last has its statements and pages at hand.
      Lease lease(*this, std::move(idle_.back()));
      idle_.pop_back();
      return lease;
    }
    ++opened_;
  }
  auto opened = Connection::open(file_, Connection::Role::reader, vfs_);
  if (opened) return Lease(*this, std::move(*opened));
  MutexLock lock(mutex_);
  --opened_;
  returned_.notify_one();
  return fail(std::move(opened.error()));
}

void ReaderPool::give_back(std::unique_ptr<Connection> connection) {
  MutexLock lock(mutex_);
  idle_.push_back(std::move(connection));
  returned_.notify_one();
}

}  // namespace pixelfleet::store
