// FUNCTION, and what FCALL adds to EVAL.
//
// Libraries of functions are records of the node's own.  Who changes them holds kFunctionsLock from
// before it looks until the turn is in the log, and only then does the node know the new ones: what
// is known is what is on the disk.  Until then the loop itself sees them.

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/strings.h"
#include "common/rdb/dump_payload.h"
#include "storage_node/keys/key_codec.h"
#include "storage_node/server/dispatcher.h"

namespace kvs {
namespace {

// As in Redis: a library's code runs for so long at most, and holds up the loop.
constexpr int64_t kLoadMicros = 500'000;
// All those of one FUNCTION RESTORE together.
constexpr int64_t kRestoreMicros = 2'000'000;

std::string UnknownWordsError(std::string_view subcommand) {
  return fmt::format(
      "ERR unknown subcommand or wrong number of arguments for '{}'. Try FUNCTION HELP.",
      subcommand);
}

// Which libraries FUNCTION LIST shows, and how.
struct ListRequest {
  std::optional<std::string_view> pattern;
  bool with_code = false;
};

Result<ListRequest> ReadListRequest(CommandArgs args) {
  ListRequest request;
  for (size_t i = 2; i < args.size(); ++i) {
    if (!request.with_code && EqualsIgnoreCase(args[i], "withcode")) {
      request.with_code = true;
    } else if (!request.pattern.has_value() && EqualsIgnoreCase(args[i], "libraryname")) {
      if (++i == args.size()) {
        return Status::InvalidArgument("library name argument was not given");
      }
      request.pattern = args[i];
    } else {
      return Status::InvalidArgument(fmt::format("Unknown argument {}", args[i]));
    }
  }
  return request;
}

void WriteFunction(const Function& function, RespWriter* reply) {
  reply->Map(3);
  reply->Bulk("name");
  reply->Bulk(function.name);
  reply->Bulk("description");
  if (function.description.has_value()) {
    reply->Bulk(*function.description);
  } else {
    reply->Null();
  }
  reply->Bulk("flags");
  const auto has = [&](const FunctionFlag& flag) { return (function.flags & flag.bit) != 0; };
  reply->Set(static_cast<size_t>(
      std::count_if(std::begin(kFunctionFlags), std::end(kFunctionFlags), has)));
  for (const FunctionFlag& flag : kFunctionFlags) {
    if (has(flag)) {
      reply->Simple(flag.name);
    }
  }
}

// Of libraries in the order of their names.
void WriteFunctionList(const FunctionSet& set, const ListRequest& request, RespWriter* reply) {
  std::vector<const FunctionLibrary*> shown;
  for (const auto& [name, library] : set.libraries()) {
    if (!request.pattern.has_value() || GlobMatch(*request.pattern, name, /*ignore_case=*/true)) {
      shown.push_back(library.get());
    }
  }
  reply->Array(shown.size());
  for (const FunctionLibrary* library : shown) {
    reply->Map(request.with_code ? 4 : 3);
    reply->Bulk("library_name");
    reply->Bulk(library->name);
    reply->Bulk("engine");
    reply->Bulk("LUA");
    reply->Bulk("functions");
    reply->Array(library->functions.size());
    for (const Function& function : library->functions) {
      WriteFunction(function, reply);
    }
    if (request.with_code) {
      reply->Bulk("library_code");
      reply->Bulk(library->text);
    }
  }
}

std::string DumpFunctions(const FunctionSet& set) {
  std::string payload;
  DumpWriter writer = DumpWriter::OfLibraries(&payload);
  for (const auto& [name, library] : set.libraries()) {
    writer.Library(library->text);
  }
  writer.Finish();
  return payload;
}

}  // namespace

// FCALL function numkeys [key ...] [arg ...]
Status Dispatcher::ReadFCall(CommandArgs args, ScriptCall* call) {
  const std::optional<FoundFunction> found = FunctionsNow()->Find(args[1]);
  txn_->Observe(kFunctionsLock);
  if (!found.has_value()) {
    return Status::InvalidArgument("Function not found");
  }
  call->function = *found;
  KVS_RETURN_IF_ERROR(ReadKeys(args, "Bad number of keys provided", call));
  if (topology_->managed && (found->function->flags & kNoClusterFlag) != 0) {
    return Status::InvalidArgument("Can not run script on cluster, 'no-cluster' flag is set.");
  }
  return Status::Ok();
}

Status Dispatcher::ReadKeys(CommandArgs args, std::string_view no_number, ScriptCall* call) const {
  int64_t key_count = 0;
  if (!ParseInt64(args[2], &key_count)) {
    return Status::InvalidArgument(no_number);
  }
  if (key_count > static_cast<int64_t>(args.size()) - 3) {
    return Status::InvalidArgument("Number of keys can't be greater than number of args");
  }
  if (key_count < 0) {
    return Status::InvalidArgument("Number of keys can't be negative");
  }
  call->keys = args.subspan(3, static_cast<size_t>(key_count));
  call->args = args.subspan(3 + static_cast<size_t>(key_count));
  return Status::Ok();
}

int64_t Dispatcher::LoadingEnd(int64_t at_most_micros) const {
  return std::min(at_most_micros, loop_->clock()->MonotonicMicros() + kLoadMicros);
}

const FunctionSetPtr& Dispatcher::FunctionsNow() {
  if (pending_functions_ != nullptr) {
    return pending_functions_;
  }
  if (const uint64_t version = functions_->version(); version != function_version_) {
    function_version_ = version;
    function_set_ = functions_->current();
    if (function_interpreter_ != nullptr) {
      function_interpreter_->Retain(*function_set_);
    }
  }
  return function_set_;
}

// Most loops never see a function.
FunctionInterpreter* Dispatcher::function_interpreter() {
  if (function_interpreter_ == nullptr) {
    function_interpreter_ =
        std::make_unique<FunctionInterpreter>(ToInt(options_->script_memory_limit));
  }
  return function_interpreter_.get();
}

Interpreter::End Dispatcher::RunFunction(const ScriptCall& call, ScriptHost* host,
                                         std::string* reply) {
  LoadingHost load_host(loop_->clock(), LoadingEnd(script_deadline_micros_));
  const Status status = function_interpreter()->Prepare(call.function.library, &load_host);
  if (!status.ok()) {
    RespWriter(call.protocol, reply).Error(status);
    return Interpreter::End::kFailed;
  }
  return function_interpreter()->Run({.function = call.function,
                                      .keys = call.keys,
                                      .args = call.args,
                                      .protocol = call.protocol,
                                      .host = host},
                                     reply);
}

void Dispatcher::AnswerFunction(const CommandSpec& spec, CommandArgs args, RespWriter* reply) {
  switch (IdOf(spec)) {
    case CommandId::kFunctionKill:
      return AnswerKill(ScriptKind::kFunction, reply);
    case CommandId::kFunctionStats:
      return WriteFunctionStats(reply);
    case CommandId::kFunctionDump:
      reply->Bulk(DumpFunctions(*FunctionsNow()));
      return txn_->Observe(kFunctionsLock);
    case CommandId::kFunctionList:
      if (const Result<ListRequest> request = ReadListRequest(args); request.ok()) {
        WriteFunctionList(*FunctionsNow(), *request, reply);
        txn_->Observe(kFunctionsLock);
      } else {
        reply->Error(request.status());
      }
      return;
    default: {
      const Status status = ChangeFunctions(spec, args, reply);
      if (!status.ok()) {
        reply->Error(status);
      }
      // What was loaded and is not wanted.
      function_interpreter()->Retain(*FunctionsNow());
      return;
    }
  }
}

// Writes the reply unless it fails.
Status Dispatcher::ChangeFunctions(const CommandSpec& spec, CommandArgs args, RespWriter* reply) {
  if (IdOf(spec) == CommandId::kFunctionLoad) {
    return LoadFunctions(args, reply);
  }
  if (IdOf(spec) == CommandId::kFunctionDelete) {
    FunctionSet next = *FunctionsNow();
    if (!next.Remove(args[2])) {
      return Status::InvalidArgument("Library not found");
    }
    txn_->Delete(kNodeSlot, LibraryKey(args[2]));
    ReplaceFunctions(std::move(next));
  } else if (IdOf(spec) == CommandId::kFunctionFlush) {
    if (args.size() > 3) {
      reply->Error(UnknownWordsError(args[1]));
      return Status::Ok();
    }
    if (args.size() == 3 && !EqualsIgnoreCase(args[2], "async") &&
        !EqualsIgnoreCase(args[2], "sync")) {
      return Status::InvalidArgument("FUNCTION FLUSH only supports SYNC|ASYNC option");
    }
    KVS_RETURN_IF_ERROR(FlushFunctions());
  } else {
    if (args.size() > 4) {
      reply->Error(UnknownWordsError(args[1]));
      return Status::Ok();
    }
    KVS_RETURN_IF_ERROR(RestoreFunctions(args));
  }
  reply->Ok();
  return Status::Ok();
}

// FUNCTION LOAD [REPLACE] code
Status Dispatcher::LoadFunctions(CommandArgs args, RespWriter* reply) {
  bool replaces = false;
  for (const std::string_view word : args.subspan(2, args.size() - 3)) {
    if (!EqualsIgnoreCase(word, "replace")) {
      return Status::InvalidArgument(fmt::format("Unknown option given: {}", word));
    }
    replaces = true;
  }
  FunctionSet next = *FunctionsNow();
  KVS_ASSIGN_OR_RETURN(const auto named, MakeLibrary(args.back()));
  if (!replaces && next.FindLibrary(named->name) != nullptr) {
    return Status::InvalidArgument(fmt::format("Library '{}' already exists", named->name));
  }
  LoadingHost host(loop_->clock(), LoadingEnd(script_deadline_micros_));
  KVS_ASSIGN_OR_RETURN(const LibraryPtr library, function_interpreter()->Load(args.back(), &host));
  KVS_RETURN_IF_ERROR(next.Add(library, ToInt(options_->function_memory_limit)));
  PutLibrary(*library);
  ReplaceFunctions(std::move(next));
  reply->Bulk(library->name);
  return Status::Ok();
}

// FUNCTION RESTORE payload [FLUSH | APPEND | REPLACE]
Status Dispatcher::RestoreFunctions(CommandArgs args) {
  const std::string_view policy = args.size() == 4 ? args[3] : "append";
  const bool flushes = EqualsIgnoreCase(policy, "flush");
  const bool replaces = EqualsIgnoreCase(policy, "replace");
  if (!flushes && !replaces && !EqualsIgnoreCase(policy, "append")) {
    return Status::InvalidArgument(
        "Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
  }
  const size_t limit = ToInt(options_->function_memory_limit);
  KVS_ASSIGN_OR_RETURN(const std::vector<std::string> texts, ReadFunctionDump(args[2], limit));
  const int64_t end_micros =
      std::min(loop_->clock()->MonotonicMicros() + kRestoreMicros, script_deadline_micros_);
  FunctionSet restored;
  for (const std::string& text : texts) {
    LoadingHost host(loop_->clock(), LoadingEnd(end_micros));
    KVS_ASSIGN_OR_RETURN(const LibraryPtr library, function_interpreter()->Load(text, &host));
    if (restored.FindLibrary(library->name) != nullptr) {
      return Status::InvalidArgument(fmt::format("Library '{}' already exists", library->name));
    }
    KVS_RETURN_IF_ERROR(restored.Add(library, limit));
  }
  FunctionSet next = flushes ? FunctionSet() : *FunctionsNow();
  for (const auto& [name, library] : restored.libraries()) {
    if (next.FindLibrary(name) == nullptr) {
      continue;
    }
    if (!replaces) {
      return Status::InvalidArgument(fmt::format("Library {} already exists", name));
    }
    next.Remove(name);  // All of them, before one of another name takes over their functions.
  }
  for (const auto& [name, library] : restored.libraries()) {
    KVS_RETURN_IF_ERROR(next.Add(library, limit));
  }
  if (flushes) {
    KVS_RETURN_IF_ERROR(FlushFunctions());
  }
  for (const auto& [name, library] : restored.libraries()) {
    PutLibrary(*library);
  }
  if (!restored.libraries().empty()) {
    ReplaceFunctions(std::move(next));
  }
  return Status::Ok();
}

// The records of libraries that could not be loaded go as well.
Status Dispatcher::FlushFunctions() {
  const std::string prefix = LibraryPrefix();
  std::set<std::string> keys;
  {
    KVS_ASSIGN_OR_RETURN(const std::unique_ptr<MergedIterator> it,
                         store_->NewIterator(kNodeSlot, prefix, PrefixEnd(prefix)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      keys.emplace(it->key());
    }
    KVS_RETURN_IF_ERROR(it->status());
  }
  for (const auto& [name, library] : FunctionsNow()->libraries()) {
    keys.insert(LibraryKey(name));
  }
  for (const std::string& key : keys) {
    txn_->Delete(kNodeSlot, key);
  }
  if (!keys.empty()) {
    ReplaceFunctions(FunctionSet());
  }
  return Status::Ok();
}

void Dispatcher::PutLibrary(const FunctionLibrary& library) {
  txn_->Put(kNodeSlot, LibraryKey(library.name), EncodeLibrary(library.text));
}

void Dispatcher::ReplaceFunctions(FunctionSet set) {
  pending_functions_ = std::make_shared<const FunctionSet>(std::move(set));
}

// The lock is still held: nobody else has changed them since.
void Dispatcher::SettleFunctions(bool written) {
  const FunctionSetPtr set = std::exchange(pending_functions_, nullptr);
  if (written) {
    functions_->Publish(set);
  } else if (function_interpreter_ != nullptr) {
    function_interpreter_->Retain(*FunctionsNow());
  }
}

void Dispatcher::WriteFunctionStats(RespWriter* reply) {
  const std::optional<RunningScripts::One> one = running_scripts_->Now();
  const int64_t now_ms = loop_->clock()->MonotonicMillis();
  const bool is_function = one.has_value() && one->kind == ScriptKind::kFunction;
  if (one.has_value() && !is_function && options_->busy_reply_threshold != 0 &&
      now_ms - one->since_ms > options_->busy_reply_threshold) {
    return reply->Error(BusyError());
  }
  reply->Map(2);
  reply->Bulk("running_script");
  if (is_function) {
    reply->Map(3);
    reply->Bulk("name");
    reply->Bulk(one->name);
    reply->Bulk("command");
    reply->Array(one->command.size());
    for (const std::string& word : one->command) {
      reply->Bulk(word);
    }
    reply->Bulk("duration_ms");
    reply->Integer(now_ms - one->since_ms);
  } else {
    reply->Null();
  }
  reply->Bulk("engines");
  reply->Map(1);
  reply->Bulk("LUA");
  reply->Map(2);
  reply->Bulk("libraries_count");
  reply->Integer(static_cast<int64_t>(FunctionsNow()->libraries().size()));
  reply->Bulk("functions_count");
  reply->Integer(static_cast<int64_t>(FunctionsNow()->function_count()));
}

}  // namespace kvs
