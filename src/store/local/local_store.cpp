#include "store/local/local_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/random.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace sluice::store {

namespace {

constexpr const char* kFileName = "sluice.db";
/// Another process writes: it is waited for so long.
constexpr int kBusyMilliseconds = 2000;

constexpr const char* kSchema = R"(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS counters (
    high INTEGER NOT NULL, low INTEGER NOT NULL,
    period_end INTEGER NOT NULL, granted INTEGER NOT NULL,
    PRIMARY KEY (high, low)) WITHOUT ROWID;
)";

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

}  // namespace

struct LocalStore::Database {
  std::unique_ptr<sqlite3, Close> handle;
  std::unique_ptr<sqlite3_stmt, Close> find, put, give_back, forget;
  uint64_t seed = 0;

  std::unexpected<std::string> fail(std::string_view what) const {
    return std::unexpected(fmt::format("{}: {}", what, sqlite3_errmsg(handle.get())));
  }
  Outcome run(const char* sql) const {
    if (sqlite3_exec(handle.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    return fail("the state's file");
  }
  bool prepare(std::unique_ptr<sqlite3_stmt, Close>& statement, const char* sql) const {
    sqlite3_stmt* made = nullptr;
    int result = sqlite3_prepare_v3(handle.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    statement.reset(made);
    return result == SQLITE_OK;
  }

  /// The statement's values in their order; SQLite's integers have a sign, hashes none.
  template <class... Values>
  static sqlite3_stmt* bound(const std::unique_ptr<sqlite3_stmt, Close>& statement, Values... values) {
    sqlite3_reset(statement.get());
    int place = 0;
    (sqlite3_bind_int64(statement.get(), ++place, static_cast<sqlite3_int64>(values)), ...);
    return statement.get();
  }

  bool grant_one(Grant& grant) const {
    sqlite3_stmt* found = bound(find, grant.key.high, grant.key.low);
    int result = sqlite3_step(found);
    uint64_t stored = 0;
    if (result == SQLITE_ROW) {
      int64_t end = sqlite3_column_int64(found, 0);
      if (end >= grant.period_end) stored = static_cast<uint64_t>(sqlite3_column_int64(found, 1));
      // A clock that was set back does not begin a period again.
      if (end > grant.period_end) {
        grant.period_end = end;
        grant.floor = 0;
      }
    } else if (result != SQLITE_DONE) {
      return false;
    }
    sqlite3_reset(found);
    grant.from = std::max(stored, grant.floor);
    grant.to = grant.from;
    if (grant.from < grant.limit) grant.to += std::min(grant.wanted, grant.limit - grant.from);
    if (grant.to == stored) return true;
    sqlite3_stmt* written = bound(put, grant.key.high, grant.key.low, grant.period_end, grant.to);
    result = sqlite3_step(written);
    sqlite3_reset(written);
    return result == SQLITE_DONE;
  }

  /// `each` inside a transaction.
  template <class Items, class Each>
  Outcome all(Items items, Each each) const {
    Outcome begun = run("BEGIN IMMEDIATE");
    if (!begun) return begun;
    for (auto& item : items) {
      if (each(item)) continue;
      Outcome failed = fail("the state's file");
      run("ROLLBACK");
      return failed;
    }
    Outcome committed = run("COMMIT");
    if (!committed) run("ROLLBACK");
    return committed;
  }
};

LocalStore::LocalStore() = default;
LocalStore::~LocalStore() = default;

bool LocalStore::is_open() const { return database_ != nullptr; }
uint64_t LocalStore::seed() const { return database_->seed; }

LocalStore::Outcome LocalStore::open(const std::string& folder) {
  auto made = std::make_unique<Database>();
  std::string path = ":memory:";
  if (!folder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return std::unexpected(fmt::format("{}: {}", folder, error.message()));
    path = folder + "/" + kFileName;
  }
  // Made here, for SQLite would make it readable by others; what it puts beside it gets the same rights.
  if (!folder.empty()) {
    int made_here = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made_here < 0) return std::unexpected(fmt::format("{}: {}", path, strerror(errno)));
    ::close(made_here);
  }
  sqlite3* handle = nullptr;
  int result = sqlite3_open_v2(path.c_str(), &handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  made->handle.reset(handle);
  Outcome ready;
  if (result == SQLITE_OK) {
    sqlite3_busy_timeout(handle, kBusyMilliseconds);
    ready = made->run(kSchema);
  }
  if (result != SQLITE_OK) return made->fail(path);
  if (!ready) return std::unexpected(fmt::format("{}: {}", path, sqlite3_errmsg(handle)));

  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    return std::unexpected("the system gives no random bytes");
  std::string insert =
      fmt::format("INSERT OR IGNORE INTO settings VALUES ('seed', {})", static_cast<int64_t>(seed));
  if (Outcome drawn = made->run(insert.c_str()); !drawn) return drawn;
  std::unique_ptr<sqlite3_stmt, Close> settings;
  bool prepared =
      made->prepare(settings, "SELECT value FROM settings WHERE name = 'seed'") &&
      made->prepare(made->find, "SELECT period_end, granted FROM counters WHERE high = ? AND low = ?") &&
      made->prepare(made->put,
                    "INSERT INTO counters VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                    "period_end = excluded.period_end, granted = excluded.granted") &&
      made->prepare(made->give_back,
                    "UPDATE counters SET granted = ? WHERE high = ? AND low = ? AND period_end = ? AND "
                    "granted = ?") &&
      made->prepare(made->forget, "DELETE FROM counters WHERE period_end < ?");
  if (!prepared || sqlite3_step(settings.get()) != SQLITE_ROW) return made->fail(path);
  made->seed = static_cast<uint64_t>(sqlite3_column_int64(settings.get(), 0));
  database_ = std::move(made);
  return {};
}

LocalStore::Outcome LocalStore::grant(std::span<Grant> grants) {
  return database_->all(grants, [&](Grant& grant) { return database_->grant_one(grant); });
}

LocalStore::Outcome LocalStore::give_back(std::span<const Unspent> unspent) {
  return database_->all(unspent, [&](const Unspent& each) {
    sqlite3_stmt* written = Database::bound(database_->give_back, each.spent, each.key.high, each.key.low,
                                            each.period_end, each.granted);
    int result = sqlite3_step(written);
    sqlite3_reset(written);
    return result == SQLITE_DONE;
  });
}

LocalStore::Outcome LocalStore::forget_before(int64_t period_end) {
  sqlite3_stmt* written = Database::bound(database_->forget, period_end);
  int result = sqlite3_step(written);
  sqlite3_reset(written);
  if (result != SQLITE_DONE) return database_->fail("the state's file");
  return {};
}

}  // namespace sluice::store
