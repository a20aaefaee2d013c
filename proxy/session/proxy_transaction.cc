// MULTI, EXEC, DISCARD, WATCH and UNWATCH of a ProxySession, and commands that wait for keys.
//
// The proxy queues.  At EXEC it knows all keys: they must share a slot, and the whole transaction
// goes to its node in one piece, over the link that all share, because nothing can come between.
// WATCH leaves something behind at the node, so it goes over a link that the session borrows, and
// so does then EXEC.  If that link breaks in between, EXEC is answered as if a key had changed.
//
// A command that waits goes over a borrowed link, too, for others must not wait behind it.  The
// link is patient for as long as the command may take.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/command/migrate_request.h"
#include "common/resp/error_text.h"
#include "common/service/acl_gate.h"
#include "proxy/session/proxy_session.h"

namespace kvs {
namespace {

// No connection has this number.
constexpr uint64_t kLost = UINT64_MAX;
constexpr size_t kReadAheadBudget = 256 * 1024;

// What XREAD or XREADGROUP says, in milliseconds.
int64_t PatienceOfRead(CommandArgs args) {
  for (size_t i = 1; i + 1 < args.size(); i += ReadOptionSize(args[i])) {
    int64_t millis = 0;
    if (ReadOptionSize(args[i]) == 0) {
      break;
    }
    if (EqualsIgnoreCase(args[i], "BLOCK") && ParseInt64(args[i + 1], &millis)) {
      constexpr int64_t kLongMs = 1'000'000'000'000;
      return millis == 0 || millis > kLongMs ? NodeLink::kForever : std::max<int64_t>(millis, 0);
    }
  }
  return 0;  // The node refuses it at once.
}

int64_t PatienceOfMigrate(CommandArgs args) {
  const Result<MigrateRequest> request = ParseMigrate(args);
  // Before it begins it waits for others to end.
  return request.ok() ? request->timeout_ms + request->total_ms() : 0;
}

// Returns how much later than others the command may be answered.
int64_t PatienceFor(const CommandSpec& spec, CommandArgs args) {
  if (IdOf(spec) == CommandId::kMigrate) {
    return PatienceOfMigrate(args);
  }
  if (spec.keys.kind == KeyPattern::Kind::kAfterStreams) {
    return PatienceOfRead(args);
  }
  const bool is_first = spec.keys.kind == KeyPattern::Kind::kCounted;
  double seconds = 0;
  if (!ParseDouble(is_first ? args[1] : args.back(), &seconds) || seconds < 0) {
    return 0;  // The node refuses it at once.
  }
  constexpr double kLongSeconds = 1e9;
  return seconds == 0 || seconds > kLongSeconds ? NodeLink::kForever
                                                : static_cast<int64_t>(seconds * 1000) + 1;
}

// What the proxy answers itself is answered when the transaction is sent.
bool IsAnsweredHere(const CommandSpec& spec) {
  return spec.route == Route::kProxy || IdOf(spec) == CommandId::kUnwatch;
}

}  // namespace

NodeLink* ProxySession::OwnLink(const NodeAddress& address) {
  if (own_link_ == nullptr || own_link_->address() != address) {
    if (own_link_ != nullptr && transaction_ != nullptr && transaction_->watching) {
      transaction_->connection = kLost;  // What is watched is watched over the other link.
    }
    ReleaseOwnLink(/*clean=*/false);
    own_link_ = host_->links()->Borrow(address);
  }
  own_link_->set_patience_ms(patience_ms_);
  return own_link_;
}

void ProxySession::ReleaseOwnLink(bool clean) {
  if (own_link_ == nullptr) {
    return;
  }
  NodeLink* const link = std::exchange(own_link_, nullptr);
  if (clean) {
    host_->links()->GiveBack(link);
  } else {
    host_->links()->Discard(link);
  }
}

ProxySession::Transaction* ProxySession::OpenTransaction() {
  if (transaction_ == nullptr) {
    transaction_ = std::make_unique<Transaction>();
  }
  return transaction_.get();
}

void ProxySession::EndTransaction() {
  if (transaction_ == nullptr) {
    return;
  }
  const bool watching = transaction_->watching;
  transaction_.reset();
  NoteTransaction();
  if (watching && own_link_ != nullptr) {
    const Status sent = own_link_->Send("*1\r\n$7\r\nUNWATCH\r\n", nullptr, 0);
    own_link_->Flush();
    ReleaseOwnLink(sent.ok());
  }
}

void ProxySession::ReplyRefusal(std::string_view name, std::string_view error) {
  if (EqualsIgnoreCase(name, "exec")) {
    EndTransaction();
  } else if (in_multi()) {
    transaction_->spoiled = true;
  }
  ReplyError(RefusalOf(name, error));
}

void ProxySession::NoteTransaction() {
  const int64_t queued = in_multi() ? static_cast<int64_t>(transaction_->queue.size()) : -1;
  client_.info->multi.store(queued, std::memory_order_relaxed);
  client_.info->multi_bytes.store(in_multi() ? transaction_->queue.bytes() : 0,
                                  std::memory_order_relaxed);
}

bool ProxySession::MustPause(const CommandSpec& spec) const {
  ServiceContext* const service = host_->service();
  const auto holds = [service](const CommandSpec& one) {
    return service->pause->Holds(one, [service] { return service->clock->MonotonicMillis(); });
  };
  return holds(spec) ||
         (IdOf(spec) == CommandId::kExec && in_multi() && transaction_->queue.Any(holds));
}

bool ProxySession::MustWaitToBeAlone(const CommandSpec& spec) const {
  if (in_flight_.empty()) {
    return false;
  }
  const bool watching = transaction_ != nullptr && transaction_->watching;
  switch (IdOf(spec)) {
    case CommandId::kMulti:
      return false;
    case CommandId::kDiscard:
    case CommandId::kUnwatch:
      return watching;
    case CommandId::kExec:
      // While slots change their owners it does not take part in the order of the lanes.
      return watching || !lanes_.open() || host_->router()->has_unproven();
    default:
      return true;
  }
}

void ProxySession::BeginWait(const CommandSpec& spec, CommandArgs args) {
  // MIGRATE waits for somebody else: it ends with its client all the same.
  waits_for_keys_ = spec.Has(Cmd::kBlocking) || IdOf(spec) == CommandId::kMigrate;
  unblock_sent_ = false;
  patience_ms_ = waits_for_keys_                   ? PatienceFor(spec, args)
                 : spec.group == Group::kScripting ? host_->limits().script_patience_ms
                                                   : 0;
  if (spec.Has(Cmd::kBlocking)) {
    client_.info->TakeUnblock();  // That was about a command before.
    client_.info->blocked.store(true, std::memory_order_relaxed);
  }
}

// A client that has gone must not leave somebody at the node who takes elements for it: closing the
// link ends that, too.
void ProxySession::ReadAhead() {
  const size_t before = input_.size();
  if (input_.ReadFrom(fd_.get(), kReadAheadBudget, 0) == IoResult::kClosed ||
      input_.size() > host_->limits().request.max_request_bytes) {
    return Close();
  }
  host_->counters()->input_bytes += input_.size() - before;
  ClientInfo::Bump(&client_.info->total_input, input_.size() - before);
  starved_ = input_.size() > 0;  // It is looked at when the command is done.
  NoteActivity();
}

void ProxySession::OnUnblockAsked(bool with_error) {
  if (!waits_for_keys() || own_link_ == nullptr || !own_link_->connected() ||
      own_link_->peer_id() == 0) {
    return;
  }
  std::string request;
  EncodeRequest(
      {"CLIENT", "UNBLOCK", std::to_string(own_link_->peer_id()), with_error ? "ERROR" : "TIMEOUT"},
      &request);
  // The reply to the command itself tells how it ended.
  const Status sent = host_->links()->Get(own_link_->address())->Send(request, nullptr, 0);
  unblock_sent_ = sent.ok();
}

void ProxySession::OnAloneDone(Exchange* exchange) {
  alone_ = nullptr;
  if (IsSubscription(*exchange->spec())) {
    return;
  }
  if (std::exchange(waits_for_keys_, false)) {
    client_.info->blocked.store(false, std::memory_order_relaxed);
    const bool watching = transaction_ != nullptr && transaction_->watching;
    if (watching && exchange->replied() && own_link_ != nullptr) {
      own_link_->set_patience_ms(0);  // An error of the command is none of the watch.
    } else {
      // What asks the node to end the wait may come late, and must not meet another client's.
      ReleaseOwnLink(!unblock_sent_ && exchange->replied() && !watching);
    }
    return;
  }
  if (IdOf(*exchange->spec()) == CommandId::kExec) {
    const bool connected = own_link_ != nullptr && own_link_->connected();
    return ReleaseOwnLink(connected && !exchange->failed());
  }
  if (IdOf(*exchange->spec()) == CommandId::kWatch) {
    if (!exchange->failed()) {
      if (transaction_->connection != kLost) {
        transaction_->connection = own_link_->stats().connects;
      }
    } else if (transaction_->connection == 0) {
      transaction_.reset();
      ReleaseOwnLink(/*clean=*/false);
    } else {
      transaction_->connection = kLost;
    }
    return;
  }
  const bool is_script = exchange->spec()->group == Group::kScripting;
  if (transaction_ != nullptr && transaction_->watching) {
    if (is_script && exchange->replied() && own_link_ != nullptr) {
      own_link_->set_patience_ms(0);  // It has gone where the watch is, which goes on.
      return;
    }
    return ReleaseOwnLink(/*clean=*/false);
  }
  // An error of a script says nothing about the link.
  ReleaseOwnLink(is_script ? exchange->replied() : !exchange->failed());
}

void ProxySession::RunTransactionCommand(const CommandSpec& spec, CommandArgs args,
                                         std::string_view frame) {
  switch (IdOf(spec)) {
    case CommandId::kMulti:
      if (in_multi()) {
        return ReplyError("ERR MULTI calls can not be nested");
      }
      OpenTransaction()->open = true;
      NoteTransaction();
      return Reply(kOkReply);
    case CommandId::kDiscard:
      if (!in_multi()) {
        return ReplyError("ERR DISCARD without MULTI");
      }
      EndTransaction();
      return Reply(kOkReply);
    case CommandId::kUnwatch:
      EndTransaction();
      return Reply(kOkReply);
    case CommandId::kWatch:
      return Watch(spec, args, frame);
    default:
      return Exec(spec);
  }
}

void ProxySession::Watch(const CommandSpec& spec, CommandArgs args, std::string_view frame) {
  if (in_multi()) {
    return ReplyError("ERR WATCH inside MULTI is not allowed");
  }
  Transaction* const transaction = OpenTransaction();
  if (transaction->watching) {
    if (!host_->router()->BelongTogether(transaction->watched, args[1])) {
      return ReplyError("CROSSSLOT Keys in request don't hash to the same slot");
    }
    if (LostWatch()) {
      // What was watched before is lost, which EXEC will tell; there is nothing to add to it.
      return Reply(kOkReply);
    }
  }
  transaction->watching = true;
  transaction->watched = args[1];
  Forward(spec, args, frame);
}

// Whether what was watched cannot be known any more.
bool ProxySession::LostWatch() const {
  return own_link_ == nullptr || !own_link_->connected() ||
         own_link_->stats().connects != transaction_->connection;
}

std::string ProxySession::WhyNotInMulti(const CommandSpec& spec, CommandArgs args) const {
  if (IsRefusedInMulti(spec)) {
    return "ERR Command not allowed inside a transaction";
  }
  if (const Status status = host_->router()->CheckPatterns(spec, args); !status.ok()) {
    return ErrorText(status);
  }
  if (IsAnsweredHere(spec) || spec.has_keys() || spec.has_channels() ||
      host_->router()->shard_count() == 1) {
    return "";
  }
  return fmt::format(
      "ERR {} inside a transaction may need another node, but a transaction runs at one",
      spec.name);
}

void ProxySession::Queue(const CommandSpec& spec, CommandArgs args) {
  std::string why =
      spec.route == Route::kRefused ? UnknownCommandError(args) : WhyNotInMulti(spec, args);
  const size_t limit = host_->limits().request.max_request_bytes;
  if (why.empty() && (budget_.exhausted() || memory() > host_->limits().max_memory)) {
    why =
        "OOM the proxy has no memory for a larger transaction: session-memory-limit or "
        "buffer-memory-limit is reached";
  }
  if (why.empty() && !transaction_->queue.Add(spec, args, limit)) {
    why = fmt::format(
        "ERR the transaction is larger than client-query-buffer-limit, which is {} bytes", limit);
  }
  if (!why.empty()) {
    return ReplyRefusal(args[0], why);
  }
  NoteTransaction();
  Reply(kQueuedReply);
}

Result<int> ProxySession::ShardOfTransaction(int* lane) const {
  const Router& router = *host_->router();
  const CommandSpec& watch = GetCommand(CommandId::kWatch);
  std::vector<std::string> words = {"watch"};  // With one of the keys, if there are any.
  if (transaction_->watching) {
    words.push_back(transaction_->watched);
  }
  bool needs_node = transaction_->watching;
  bool crosses = false;
  transaction_->queue.ForEach([&](const CommandSpec& spec, CommandArgs args) {
    if (IsAnsweredHere(spec)) {
      return;
    }
    needs_node = true;
    const KeyPositions routed = FindRouted(spec, args);
    for (size_t i = 0; i < routed.count; ++i) {
      const std::string_view key = args[routed.index(i)];
      if (words.size() == 1) {
        words.emplace_back(key);
      }
      crosses = crosses || !router.BelongTogether(words[1], key);
    }
  });
  if (crosses) {
    return Status::CrossSlot();
  }
  return needs_node ? router.ShardOfKeys(
                          watch, std::vector<std::string_view>(words.begin(), words.end()), lane)
                    : Result<int>(-1);
}

void ProxySession::Exec(const CommandSpec& spec) {
  if (!in_multi()) {
    return ReplyError("ERR EXEC without MULTI");
  }
  if (transaction_->spoiled) {
    EndTransaction();
    return ReplyError("EXECABORT Transaction discarded because of previous errors.");
  }
  if (transaction_->watching && LostWatch()) {
    EndTransaction();
    std::string reply;
    RespWriter(client_.protocol, &reply).NullArray();
    return Reply(reply);
  }
  AdoptTable(/*from_replicas=*/false);
  int lane = SlotLanes::kEverySlot;
  const Result<int> shard = ShardOfTransaction(&lane);
  if (!shard.ok()) {
    EndTransaction();
    return ReplyError(ErrorText(shard.status()));
  }
  StartTransaction(spec, *shard, lane);
}

void ProxySession::StartTransaction(const CommandSpec& spec, int shard, int lane) {
  const std::unique_ptr<Transaction> transaction = std::exchange(transaction_, nullptr);
  NoteTransaction();
  ServiceContext* const service = host_->service();
  std::string block;
  size_t requests = 2;
  EncodeRequest({"MULTI"}, &block);
  std::vector<TransactionStep> steps;
  std::vector<std::string> kept_in_vain;
  transaction->queue.ForEach([&](const CommandSpec& one, CommandArgs args) {
    TransactionStep step{.form = FormFor(one.resp2, HasOption(one, args),
                                         /*in_transaction=*/true),
                         .local = {}};
    std::string refusal;
    if (!MayDoAll(client_, *service)) [[unlikely]] {
      refusal = CheckAclAtExec(one, args, service, &client_);
      refusal = refusal.empty() ? WhyNoScript(one) : refusal;
    }
    if (!refusal.empty()) {
      RespWriter(client_.protocol, &step.local).Error(refusal);
    } else if (IsAnsweredHere(one)) {
      AnswerInTransaction(one, args, service, &client_, &step.local);
    } else {
      EncodeRequest(args, &block);
      ++requests;
      if (client_.tracking != nullptr) {
        TrackReads(one, args, &kept_in_vain);
      }
    }
    steps.push_back(std::move(step));
    service->monitors->OnCommand(one, args, *client_.info, service->clock);
    service->diagnostics->hot_keys.OnCommand(one, args, service->clock);
  });
  EncodeRequest({"EXEC"}, &block);
  Exchange* const exchange =
      host_->exchanges()->New(this, &spec, client_.protocol, host_->loop()->now_micros());
  exchange->times()->arrived = read_micros_;
  if (muted_) {
    exchange->Mute();
  }
  exchange->SetTransaction(std::move(steps));
  exchange->SetRequest(++last_number_, block.size());
  request_bytes_ += block.size();
  ++writes_in_flight_;
  last_write_ms_ = host_->loop()->now_ms();
  in_flight_.push_back(exchange);
  if (shard < 0) {
    return exchange->AnswerSteps();
  }
  const bool unproven = host_->router()->has_unproven();
  NodeLink* const link = transaction->watching ? own_link_ : nullptr;
  if (link != nullptr || unproven) {
    alone_ = exchange;
  }
  host_->router()->StartTransaction(exchange, block, requests, shard, lane, link);
  TellKeptInVain(std::move(kept_in_vain));
}

}  // namespace kvs
