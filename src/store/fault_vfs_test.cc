#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <new>

#include "base/format.h"
#include "store/fault_vfs_internal.h"

namespace pixelfleet::store {

// One open file: ours first, the wrapped layer's right behind it in the memory SQLite gives us.
struct FaultFile {
  sqlite3_file base;
  FaultVfs* vfs;
  const char* path;  // SQLite keeps it until the file is closed; null for temporary files
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

struct FaultCalls {
  static FaultFile& file(sqlite3_file* f) { return *reinterpret_cast<FaultFile*>(f); }
  static sqlite3_file* real(sqlite3_file* f) { return file(f).real(); }
  static FaultVfs& self(sqlite3_vfs* v) { return *static_cast<FaultVfs*>(v->pAppData); }
  static sqlite3_vfs* base(sqlite3_vfs* v) { return self(v).real_; }

  static int close(sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); }
  static int read(sqlite3_file* f, void* out, int size, sqlite3_int64 offset) {
    if (file(f).vfs->fails()) return SQLITE_IOERR_READ;
    return real(f)->pMethods->xRead(real(f), out, size, offset);
  }
  static int write(sqlite3_file* f, const void* data, int size, sqlite3_int64 offset) {
    FaultFile& self_file = file(f);
    const bool full = self_file.vfs->disk_is_full();
    const bool fails = self_file.vfs->fails();
    const int written = full || fails ? size / 2 : size;  // a failing write tears
    const int code = real(f)->pMethods->xWrite(real(f), data, written, offset);
    if (self_file.path != nullptr) {
      self_file.vfs->wrote(self_file.path, offset,
                           std::string(static_cast<const char*>(data), static_cast<std::size_t>(written)));
    }
    if (full) return SQLITE_FULL;
    return fails ? SQLITE_IOERR_WRITE : code;
  }
  static int truncate(sqlite3_file* f, sqlite3_int64 size) {
    if (file(f).vfs->fails()) return SQLITE_IOERR_TRUNCATE;
    if (file(f).path != nullptr) file(f).vfs->cut(file(f).path, size);
    return real(f)->pMethods->xTruncate(real(f), size);
  }
  static int sync(sqlite3_file* f, int) {
    if (file(f).vfs->fails()) {
      file(f).vfs->sync_failed_ = true;
      return SQLITE_IOERR_FSYNC;
    }
    if (file(f).path != nullptr) file(f).vfs->synced(file(f).path);
    return SQLITE_OK;
  }
  static int file_size(sqlite3_file* f, sqlite3_int64* size) {
    if (file(f).vfs->fails()) return SQLITE_IOERR_FSTAT;
    return real(f)->pMethods->xFileSize(real(f), size);
  }
  static int lock(sqlite3_file* f, int level) {
    if (file(f).vfs->fails()) return SQLITE_IOERR_LOCK;
    return real(f)->pMethods->xLock(real(f), level);
  }
  static int unlock(sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); }
  static int check_reserved(sqlite3_file* f, int* out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); }
  static int file_control(sqlite3_file* f, int op, void* arg) {
    return real(f)->pMethods->xFileControl(real(f), op, arg);
  }
  static int sector_size(sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); }
  static int characteristics(sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }
  static int shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
    if (file(f).vfs->fails()) return SQLITE_IOERR_SHMMAP;
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
  }
  static int shm_lock(sqlite3_file* f, int offset, int n, int flags) {
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
  }
  static void shm_barrier(sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); }
  static int shm_unmap(sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); }

  static int open(sqlite3_vfs* v, const char* path, sqlite3_file* f, int flags, int* out_flags) {
    static const sqlite3_io_methods methods = {
        2,         close,          read,         write,       truncate,        sync,    file_size, lock,
        unlock,    check_reserved, file_control, sector_size, characteristics, shm_map, shm_lock,  shm_barrier,
        shm_unmap, nullptr,        nullptr};
    f->pMethods = nullptr;  // nothing to close when this fails
    if (self(v).fails()) return SQLITE_CANTOPEN;
    auto* created = new (f) FaultFile{{nullptr}, &self(v), path};
    if (path != nullptr) self(v).opened(path);
    const int code = base(v)->xOpen(base(v), path, created->real(), flags, out_flags);
    if (created->real()->pMethods != nullptr) f->pMethods = &methods;
    return code;
  }
  static int remove(sqlite3_vfs* v, const char* path, int sync_directory) {
    if (self(v).fails()) return SQLITE_IOERR_DELETE;
    self(v).files_[path] = {};
    return base(v)->xDelete(base(v), path, sync_directory);
  }
  static int access(sqlite3_vfs* v, const char* path, int flags, int* out) {
    if (self(v).fails()) return SQLITE_IOERR_ACCESS;
    return base(v)->xAccess(base(v), path, flags, out);
  }
  static int last_error(sqlite3_vfs* v, int, char*) { return self(v).last_errno_; }
};

FaultVfs::FaultVfs()
    : name_(format("fault-{}", static_cast<const void*>(this))), real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  vfs_.szOsFile = static_cast<int>(sizeof(FaultFile)) + real_->szOsFile;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.pNext = nullptr;
  vfs_.xOpen = FaultCalls::open;
  vfs_.xDelete = FaultCalls::remove;
  vfs_.xAccess = FaultCalls::access;
  vfs_.xGetLastError = FaultCalls::last_error;
  sqlite3_vfs_register(&vfs_, 0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&vfs_); }

void FaultVfs::fail_at(int n, Lasting lasting) {
  fail_at_ = n;
  lasting_ = lasting;
  operations_ = failures_ = 0;
  sync_failed_ = false;
}

void FaultVfs::heal() {
  fail_at_ = 0;
  full_ = nullptr;
}

bool FaultVfs::fails() {
  ++operations_;
  if (fail_at_ == 0 || operations_ < fail_at_) return false;
  if (lasting_ == Lasting::once && operations_ > fail_at_) return false;
  ++failures_;
  last_errno_ = EIO;
  return true;
}

bool FaultVfs::disk_is_full() {
  if (!full_ || !full_()) return false;
  ++failures_;
  last_errno_ = ENOSPC;
  return true;
}

void FaultVfs::opened(const std::string& path) {
  if (files_.contains(path)) return;
  std::ifstream stream(path, std::ios::binary);
  Content& content = files_[path];
  content.exists = stream.good();
  if (stream.good()) content.synced.assign(std::istreambuf_iterator<char>(stream), {});
}

void FaultVfs::wrote(const std::string& path, std::int64_t offset, std::string bytes) {
  files_[path].unsynced.push_back({offset, std::move(bytes)});
}

void FaultVfs::cut(const std::string& path, std::int64_t size) { files_[path].unsynced.push_back({size, {}, true}); }

namespace {

void write_into(std::string& content, std::int64_t offset, const std::string& bytes) {
  const auto begin = static_cast<std::size_t>(offset);
  if (content.size() < begin + bytes.size()) content.resize(begin + bytes.size());
  content.replace(begin, bytes.size(), bytes);
}

}  // namespace

void FaultVfs::synced(const std::string& path) {
  Content& content = files_[path];
  for (const Unsynced& change : content.unsynced) {
    if (change.cut) {
      content.synced.resize(static_cast<std::size_t>(change.offset));
    } else {
      write_into(content.synced, change.offset, change.bytes);
    }
  }
  content.unsynced.clear();
  content.exists = true;
}

void FaultVfs::lose_power(Rng& rng) {
  for (auto& [path, content] : files_) {
    // Each write reached the disk or did not, in any order, as far as the next sync lets it.
    for (const Unsynced& change : content.unsynced) {
      if (!rng.chance(0.5)) continue;
      content.exists = true;
      if (change.cut) {
        content.synced.resize(static_cast<std::size_t>(change.offset));
      } else {
        write_into(content.synced, change.offset, change.bytes.substr(0, rng.below(change.bytes.size() + 1)));
      }
    }
    content.unsynced.clear();
    std::filesystem::remove(path + "-shm");
    if (content.exists) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << content.synced;
    } else {
      std::filesystem::remove(path);
    }
  }
}

namespace {

TEST(FaultVfsTest, ADatabaseWorksOnItWhileNothingFails) {
  FaultVfs vfs;
  const auto path = std::filesystem::temp_directory_path() / format("pixelfleet_vfs_{}.db", ::getpid());
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs.name().c_str()),
            SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, "PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1)", nullptr,
                         nullptr, nullptr),
            SQLITE_OK);
  EXPECT_GT(vfs.operations(), 10);
  vfs.fail_at(1, FaultVfs::Lasting::from_then_on);
  EXPECT_EQ(sqlite3_exec(database, "INSERT INTO t VALUES (2)", nullptr, nullptr, nullptr), SQLITE_IOERR);
  EXPECT_GT(vfs.failures(), 0);
  vfs.heal();
  EXPECT_EQ(sqlite3_exec(database, "INSERT INTO t VALUES (3)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace pixelfleet::store
