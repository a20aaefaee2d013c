#include "config_server/meta/leveldb_meta_store.h"

#include <fmt/format.h>
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <utility>

#include "common/base/file.h"

namespace kvs {
namespace {

// Not a record of the interface: the key sorts before all of them, whose keys start above '\x01'.
constexpr std::string_view kFormatKey("\0format", 7);
constexpr std::string_view kFormatVersion = "1";

leveldb::Slice ToSlice(std::string_view text) {
  return {text.data(), text.size()};
}

Status FromLevelDb(const leveldb::Status& status, std::string_view what) {
  if (status.ok()) {
    return Status::Ok();
  }
  const std::string message = fmt::format("{}: {}", what, status.ToString());
  if (status.IsCorruption()) {
    return Status::Corruption(message + "; restore the folder from a backup");
  }
  return Status::IoError(message + "; check the disk and the folder's permissions");
}

}  // namespace

LevelDbMetaStore::LevelDbMetaStore(std::unique_ptr<leveldb::DB> db) : db_(std::move(db)) {}

LevelDbMetaStore::~LevelDbMetaStore() = default;

Result<std::unique_ptr<LevelDbMetaStore>> LevelDbMetaStore::Open(const std::string& path) {
  KVS_RETURN_IF_ERROR(CreateDirs(path));
  leveldb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.max_open_files = 64;
  leveldb::DB* db = nullptr;
  const leveldb::Status status = leveldb::DB::Open(options, path, &db);
  if (!status.ok()) {
    if (status.ToString().find("lock") != std::string::npos) {
      return Status::Busy(
          fmt::format("'{}' is in use by another process; stop it or choose another folder", path));
    }
    return FromLevelDb(status, fmt::format("cannot open '{}'", path));
  }
  std::unique_ptr<LevelDbMetaStore> store(new LevelDbMetaStore(std::unique_ptr<leveldb::DB>(db)));
  KVS_RETURN_IF_ERROR(store->CheckFormat());
  return store;
}

Status LevelDbMetaStore::CheckFormat() {
  std::string version;
  const leveldb::Status status = db_->Get({}, ToSlice(kFormatKey), &version);
  if (status.IsNotFound()) {
    leveldb::WriteOptions options;
    options.sync = true;
    return FromLevelDb(db_->Put(options, ToSlice(kFormatKey), ToSlice(kFormatVersion)),
                       "cannot write the format version");
  }
  KVS_RETURN_IF_ERROR(FromLevelDb(status, "cannot read the format version"));
  if (version != kFormatVersion) {
    return Status::Unsupported(
        fmt::format("the meta store has format {}, this program knows {}; use a newer program",
                    version, kFormatVersion));
  }
  return Status::Ok();
}

Result<std::string> LevelDbMetaStore::Get(std::string_view key) const {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  std::string value;
  const leveldb::Status status = db_->Get(options, ToSlice(key), &value);
  if (status.IsNotFound()) {
    return Status::NotFound(fmt::format("there is no record '{}'", key));
  }
  KVS_RETURN_IF_ERROR(FromLevelDb(status, "cannot read the meta store"));
  return value;
}

Result<std::vector<MetaRecord>> LevelDbMetaStore::List(std::string_view prefix) const {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(options));
  std::vector<MetaRecord> records;
  for (it->Seek(ToSlice(prefix)); it->Valid() && it->key().starts_with(ToSlice(prefix));
       it->Next()) {
    if (it->key() != ToSlice(kFormatKey)) {
      records.emplace_back(it->key().ToString(), it->value().ToString());
    }
  }
  KVS_RETURN_IF_ERROR(FromLevelDb(it->status(), "cannot read the meta store"));
  return records;
}

Status LevelDbMetaStore::Commit(const MetaTransaction& transaction) {
  KVS_RETURN_IF_ERROR(CheckMetaTransaction(transaction));
  const MutexLock lock(&mu_);
  KVS_RETURN_IF_ERROR(broken_);
  for (const auto& [key, expected] : transaction.compares) {
    const Result<std::string> value = Get(key);
    if (!value.ok() && value.status().code() != Code::kNotFound) {
      return value.status();
    }
    const bool holds = expected.has_value() ? value.ok() && *value == *expected : !value.ok();
    if (!holds) {
      return Status::Aborted(fmt::format("record '{}' has changed", key));
    }
  }
  leveldb::WriteBatch batch;
  for (const auto& [key, value] : transaction.puts) {
    batch.Put(ToSlice(key), ToSlice(value));
  }
  for (const std::string& key : transaction.deletes) {
    batch.Delete(ToSlice(key));
  }
  leveldb::WriteOptions options;
  options.sync = true;
  broken_ = FromLevelDb(db_->Write(options, &batch), "cannot write the meta store");
  return broken_;
}

}  // namespace kvs
