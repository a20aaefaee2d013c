// ConfigStore: the published snapshot of a program's options, and CONFIG GET/SET/REWRITE over it.
//
// A change copies the current struct, sets the named fields, validates the whole and publishes the
// copy; no field of a published struct is ever written.  Listeners run under the store's lock, in
// the thread that changed something: they only hand the new pointer on (loop->PostAlways).
//
// Threads: locked.
// Owner:   main; outlives the loops that read from it.

#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/file.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/config_file.h"
#include "common/config/option.h"

namespace kvs {

using ConfigPairs = std::vector<std::pair<std::string, std::string>>;

// What CONFIG needs, without the type of the options; so that command handlers are not templates.
class ConfigStoreBase {
 public:
  virtual ~ConfigStoreBase() = default;
  // Returns name and value of each option that one of the glob patterns matches, sorted by name.
  // Options of Redis that have no meaning here but that tools ask for are among them.
  virtual ConfigPairs Get(const std::vector<std::string_view>& patterns) const = 0;
  // Sets all or none.  The message is the text after Redis's "ERR CONFIG SET failed (...) - ".
  //   kUnsupported: no such option; `*bad_name` says which
  //   kInvalidArgument: `*bad_name` has an illegal value or cannot change at run time
  virtual Status Set(const ConfigPairs& changes, std::string* bad_name) = 0;
  // Writes the current options into the file that the program was started with.
  // kNotFound: it was started without one
  virtual Status Rewrite() = 0;
};

template <typename Options>
class ConfigStore : public ConfigStoreBase {
 public:
  using Ptr = std::shared_ptr<const Options>;
  using Validate = Status (*)(const Options&);
  // Whether a change may be made while the program runs.
  using ValidateChange = Status (*)(const Options& before, const Options& after);
  using Listener = std::function<void(const Ptr& before, const Ptr& after)>;

  // `constants` are name-value pairs that CONFIG GET shows besides the options.
  ConfigStore(const std::vector<OptionRow>& rows, Options initial, std::string file,
              Validate validate, ConfigPairs constants = {},
              ValidateChange validate_change = nullptr)
      : rows_(rows),
        file_(std::move(file)),
        validate_(validate),
        constants_(std::move(constants)),
        validate_change_(validate_change),
        current_(std::make_shared<const Options>(std::move(initial))) {}

  Ptr current() const KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    return current_;
  }

  void AddListener(Listener listener) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    listeners_.push_back(std::move(listener));
  }

  ConfigPairs Get(const std::vector<std::string_view>& patterns) const override {
    const Ptr options = current();
    ConfigPairs found;
    const auto wanted = [&patterns](const std::string& name) {
      return std::any_of(patterns.begin(), patterns.end(), [&name](std::string_view pattern) {
        return GlobMatch(pattern, name, /*ignore_case=*/true);
      });
    };
    for (const OptionRow& row : rows_) {
      if (wanted(row.name)) {
        found.emplace_back(row.name, GetOptionField(row, options.get()));
      }
    }
    for (const auto& constant : constants_) {
      if (wanted(constant.first)) {
        found.push_back(constant);
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  Status Set(const ConfigPairs& changes, std::string* bad_name) override KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    auto next = std::make_shared<Options>(*current_);
    for (const auto& [name, value] : changes) {
      *bad_name = name;
      const OptionRow* row = FindOption(rows_, name);
      if (row == nullptr) {
        KVS_RETURN_IF_ERROR(SetConstant(name, value));
        continue;
      }
      if (row->spec.change != Change::kRuntime) {
        return Status::InvalidArgument("can't set immutable config");
      }
      if (row->kind == OptionKind::kStringList) {
        KVS_RETURN_IF_ERROR(SetOptionField(*row, next.get(), ""));
      }
      KVS_RETURN_IF_ERROR(SetOptionField(*row, next.get(), value));
    }
    return PublishLocked(std::move(next));
  }

  // Replaces everything or nothing, as SIGHUP does: options that need a restart keep their values;
  // `*kept` gets the names of those that were to change.
  Status Reload(const CommandLine& line, StringList* kept = nullptr) KVS_EXCLUDES(mu_) {
    Options fresh;
    KVS_RETURN_IF_ERROR(LoadOptions(rows_, line, &fresh));
    const MutexLock lock(&mu_);
    for (const OptionRow& row : rows_) {
      if (row.spec.change == Change::kRuntime) {
        continue;
      }
      if (kept != nullptr && GetOptionField(row, &fresh) != GetOptionField(row, current_.get())) {
        kept->push_back(row.name);
      }
      if (row.kind == OptionKind::kStringList) {
        *static_cast<StringList*>(row.field(&fresh)) =
            *static_cast<const StringList*>(row.field(const_cast<Options*>(current_.get())));
      } else {
        KVS_RETURN_IF_ERROR(SetOptionField(row, &fresh, GetOptionField(row, current_.get())));
      }
    }
    return PublishLocked(std::make_shared<Options>(std::move(fresh)));
  }

  Status Rewrite() override {
    if (file_.empty() || file_ == "-") {
      return Status::NotFound("The server is running without a config file");
    }
    KVS_ASSIGN_OR_RETURN(const std::string text, ReadFile(file_));
    const Options defaults;
    const Ptr options = current();
    return WriteFileAtomic(file_, RewriteOptionsText(rows_, text, &defaults, options.get()));
  }

 private:
  // A constant may be "set" to the value that it has: tools do so and want OK.
  Status SetConstant(const std::string& name, const std::string& value) const {
    for (const auto& [constant, has] : constants_) {
      if (EqualsIgnoreCase(constant, name)) {
        return has == value ? Status::Ok()
                            : Status::InvalidArgument("this option of Redis has no effect here");
      }
    }
    return Status::Unsupported("Unknown option or number of arguments for CONFIG SET");
  }

  Status PublishLocked(Ptr next) KVS_REQUIRES(mu_) {
    KVS_RETURN_IF_ERROR(validate_(*next));
    if (validate_change_ != nullptr) {
      KVS_RETURN_IF_ERROR(validate_change_(*current_, *next));
    }
    const Ptr before = std::exchange(current_, std::move(next));
    for (const Listener& listener : listeners_) {
      listener(before, current_);
    }
    return Status::Ok();
  }

  const std::vector<OptionRow>& rows_;
  const std::string file_;
  const Validate validate_;
  const ConfigPairs constants_;
  const ValidateChange validate_change_;  // May be null.
  mutable Mutex mu_;
  Ptr current_ KVS_GUARDED_BY(mu_);
  std::vector<Listener> listeners_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
