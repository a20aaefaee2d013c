#include "proxy/session/proxy_session.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/net/socket.h"
#include "common/service/acl_gate.h"
#include "proxy/session/request_stages.h"

namespace kvs {
namespace {

constexpr size_t kReadBudget = 256 * 1024;
// Requests that wait for slots to change hands; a session that has so many is not read.
constexpr size_t kMaxHeld = 1024;

const MovedSlots kAllSlots = MovedSlots().set();
// The replies that are expected for what is in flight may have so many times max_output.
constexpr size_t kExpectedOutputs = 16;
// Smaller replies are never dropped: the number of requests in flight bounds them.
constexpr size_t kTinyReply = 1024;
// Smaller replies are not dropped for the whole proxy's sake.
constexpr size_t kSmallReply = 16 * 1024;
// A request whose first part is larger has to go when the proxy has no memory left.
constexpr size_t kLargeInput = 1024 * 1024;

}  // namespace

ProxySession::ProxySession(SessionHost* host, UniqueFd fd, std::shared_ptr<ClientInfo> info)
    : host_(host), budget_(host->budget()), fd_(std::move(fd)) {
  client_.info = std::move(info);
}

ProxySession::~ProxySession() {
  Close();
}

Status ProxySession::Start() {
  RequestLimits limits = host_->limits().request;
  limits.authenticated = client_.authenticated;
  parser_.set_limits(limits);
  table_ = host_->router()->table();
  last_active_ms_ = host_->loop()->now_ms();
  KVS_ASSIGN_OR_RETURN(watch_, host_->loop()->Watch(fd_.get(), this, kReadable));
  return Status::Ok();
}

void ProxySession::Close() {
  if (std::exchange(closed_, true)) {
    return;
  }
  if (watch_ != nullptr) {
    host_->loop()->Unwatch(watch_);
    watch_ = nullptr;
  }
  fd_.reset();
  EndSubscriptions();
  EndTracking(&client_, host_->service()->tracking);
  const std::vector<RefusedRequest> refused = refused_.TakeAll();
  auto next = refused.begin();  // Both go by ascending numbers.
  for (Exchange* exchange : std::exchange(in_flight_, {})) {
    const bool started = exchange->started();
    const uint64_t number = exchange->number();
    if (exchange->done()) {
      NoteTimes(exchange);
      host_->exchanges()->Written(exchange);
      continue;
    }
    exchange->Orphan();
    if (!started) {
      exchange->Answer({});  // Nobody else will.
    }
    for (; next != refused.end() && next->number == number; ++next) {
      exchange->OnFailure(next->part, Status::TryAgain(kSlotChangesOwner), /*sent=*/false);
    }
  }
  held_.clear();
  alone_ = nullptr;
  transaction_.reset();
  ReleaseOwnLink(/*clean=*/false);
  host_->OnClosed(this);
}

void ProxySession::OnReady(bool readable, bool writable) {
  if (writable) {
    blocked_ = false;
    host_->MarkDirty(this);
  }
  if (!readable) {
    return;
  }
  if (waits_for_keys()) {
    return ReadAhead();
  }
  if (!HasRoom() || eof_) {
    // Not interested in more, yet the socket reports something: perhaps a peer that is gone.
    return PeerIsGone(fd_.get()) ? Close() : UpdateInterest();
  }
  const size_t before = input_.size();
  const size_t hint = before > 0 ? parser_.size_hint() : 0;
  if (input_.ReadFrom(fd_.get(), kReadBudget, hint) == IoResult::kClosed) {
    // A client may close its side and still read: it gets the replies that are due.
    eof_ = true;
    closing_ = !starved_;
    return closing_ && idle() ? Close() : UpdateInterest();
  }
  host_->counters()->input_bytes += input_.size() - before;
  ClientInfo::Bump(&client_.info->total_input, input_.size() - before);
  NoteActivity();
  if (!starved_) {
    read_micros_ = host_->loop()->now_micros();
  }
  ProcessInput();
  if (!closed_ && !starved_ && input_.size() > kLargeInput && budget_.exhausted()) {
    RefuseLargeRequest();
  }
}

void ProxySession::ReleaseIfQuiet() {
  constexpr int64_t kQuietMs = 1000;
  if (!idle() || host_->loop()->now_ms() - last_active_ms_ < kQuietMs) {
    return;
  }
  in_flight_.ReleaseIfEmpty();
  output_.ReleaseIfEmpty();
  parser_.ReleaseIfIdle();
  std::string().swap(scratch_);
  std::vector<std::string_view>().swap(renamed_);
}

void ProxySession::NoteActivity() {
  last_active_ms_ = host_->loop()->now_ms();
  client_.info->last_active_ms.store(last_active_ms_, std::memory_order_relaxed);
}

// One request at a time is always let in, so that who did nothing gets through.
bool ProxySession::HasRoom() const {
  if (closing_ || closed_ || paused_ || alone_ != nullptr || waits_to_be_alone_) {
    return false;
  }
  const SessionLimits& limits = host_->limits();
  return (in_flight_.empty() && output_.empty()) ||
         (in_flight_.size() < limits.max_pipeline &&
          output_.size() + waiting_bytes_ < limits.max_output &&
          in_flight_.size() * reply_estimate_ < kExpectedOutputs * limits.max_output &&
          request_bytes_ < kExpectedOutputs * limits.max_output && lanes_.held() < kMaxHeld &&
          !budget_.pressed());
}

void ProxySession::ProcessInput() {
  // Asked once a round: another loop may make room between two questions.
  bool out_of_room = false;
  while (input_.size() > 0) {
    out_of_room = !HasRoom();
    if (out_of_room) {
      break;
    }
    const RequestParser::Outcome outcome = parser_.Parse(input_.unread());
    if (outcome == RequestParser::Outcome::kNeedMore) {
      break;
    }
    if (outcome == RequestParser::Outcome::kError) {
      OnProtocolError();
      break;
    }
    const size_t size = parser_.frame_size();
    if (outcome == RequestParser::Outcome::kRequest) {
      const bool is_inline = parser_.is_inline();
      if (Execute(parser_.args(),
                  is_inline ? std::string_view() : input_.unread().substr(0, size)) ==
          Outcome::kPaused) {
        parser_.Reset();  // Parsed again when it may run.
        out_of_room = true;
        break;
      }
    }
    input_.Consume(size);
    parser_.Reset();
    closing_ |= client_.close_after_reply;
  }
  if (!closed_) {
    starved_ = out_of_room && input_.size() > 0 && !closing_;
    closing_ |= eof_ && !starved_;
    input_.ReleaseIfEmpty();
    host_->MarkDirty(this);
  }
}

ProxySession::Outcome ProxySession::Execute(CommandArgs args, std::string_view frame) {
  ServiceContext* service = host_->service();
  bool known = true;
  if (!service->renames->empty()) {
    known = service->renames->Translate(&args, &renamed_);
    frame = {};  // Nodes know the names of Redis: encoded again.
  }
  const CommandSpec* spec = known ? ResolveCommand(args) : nullptr;
  const bool may_run = spec != nullptr && MayRun(*spec, client_);
  if (may_run && MustPause(*spec)) {
    paused_ = true;
    host_->ResumeAfterPause(this);
    return Outcome::kPaused;
  }
  const bool queued = may_run && in_multi() && IsQueuedInMulti(*spec);
  const bool alone = may_run && !queued && GoesAlone(*spec, args);
  if (alone && MustWaitToBeAlone(*spec)) {
    waits_to_be_alone_ = true;
    return Outcome::kPaused;
  }
  ++host_->counters()->requests;
  muted_ = TakeMute(&client_);
  if (spec == nullptr) {
    RefuseUnknown(args, known ? CommandError(args) : UnknownNameError(args));
    return Outcome::kDone;
  }
  if (!may_run) {
    ReplyRefusal(args[0], kNoAuthError);
    return Outcome::kDone;
  }
  if (NeedsCluster(*spec, *service)) {
    ReplyRefusal(args[0], kClusterDisabledError);
    return Outcome::kDone;
  }
  if (!MayRunSubscribed(*spec, client_)) {
    ReplyRefusal(args[0], SubscribedError(*spec));
    return Outcome::kDone;
  }
  if (!MayDoAll(client_, *service)) [[unlikely]] {
    std::string error = CheckAcl(*spec, args, service, &client_);
    if (error.empty()) {
      error = WhyNoScript(*spec);
    }
    if (!error.empty()) {
      ReplyRefusal(args[0], error);
      return Outcome::kDone;
    }
  }
  if (queued) {
    Queue(*spec, args);
    return Outcome::kDone;
  }
  client_.info->NoteCommand(static_cast<int>(IdOf(*spec)));
  if (spec->group == Group::kTransactions) {
    RunTransactionCommand(*spec, args, frame);
  } else if (IsSubscription(*spec)) {
    RunSubscription(*spec, args);
  } else if (spec->route == Route::kProxy) {
    AnswerHere(*spec, args);
  } else {
    Forward(*spec, args, frame);
  }
  EndCaching(*spec, in_multi(), &client_);
  service->monitors->OnCommand(*spec, args, *client_.info, service->clock);
  service->diagnostics->hot_keys.OnCommand(*spec, args, service->clock);
  return Outcome::kDone;
}

// What a script does is known to the node alone, which takes it for the proxy's doing.
std::string ProxySession::WhyNoScript(const CommandSpec& spec) const {
  const bool is_script = spec.group == Group::kScripting && spec.has_keys();
  return is_script && !client_.identity.user()->unrestricted()
             ? "NOPERM scripts are run with the rights of the proxy: a user needs all commands, "
               "keys and channels for them"
             : "";
}

void ProxySession::Resume() {
  paused_ = false;
  host_->MarkDirty(this);
}

bool ProxySession::at_boundary() const {
  return idle() && transaction_ == nullptr && input_.size() == 0 && !HasInput(fd_.get());
}

void ProxySession::Push(std::string_view text) {
  muted_ = false;
  if (waits_for_keys() && in_flight_.size() == 1) {
    output_.Append(text);  // Nothing of what the client waits for is there yet.
  } else {
    Reply(text);
  }
  host_->MarkDirty(this);
}

void ProxySession::TellToMove(const MovingNotice& notice) {
  std::string push;
  AppendMoving(notice, client_, &push);
  if (!push.empty()) {
    told_to_move_ = true;
    Push(push);
  }
}

void ProxySession::RefuseUnknown(CommandArgs args, std::string_view error) {
  if (EqualsIgnoreCase(args[0], "post") || EqualsIgnoreCase(args[0], "host:")) {
    // A browser was made to talk to us; what follows would be somebody else's commands.
    KVS_LOG(kWarning, "closed a connection that speaks HTTP from {}", client_.info->address);
    closing_ = true;
    return;
  }
  ReplyRefusal(args[0], client_.authenticated ? error : kNoAuthError);
}

void ProxySession::Forward(const CommandSpec& spec, CommandArgs args, std::string_view frame) {
  Exchange* exchange =
      host_->exchanges()->New(this, &spec, client_.protocol, host_->loop()->now_micros());
  exchange->times()->arrived = read_micros_;
  if (muted_) {
    exchange->Mute();
  }
  if (host_->service()->diagnostics->slow_log.enabled()) {
    exchange->TakeSample(args, frame);
  }
  exchange->SetRequest(++last_number_, frame.size());
  request_bytes_ += frame.size();
  in_flight_.push_back(exchange);
  if (spec.may_write()) {
    ++writes_in_flight_;
    last_write_ms_ = host_->loop()->now_ms();
  }
  std::vector<std::string> kept_in_vain;
  if (client_.tracking != nullptr) [[unlikely]] {
    TrackReads(spec, args, &kept_in_vain);
  }
  AdoptTable(MayReadFromReplica(spec));
  // A cursor, a count or a list of keys belongs to one server: those stay with masters.
  exchange->set_from_replica(from_replicas_ && spec.is_read() && IsRoutedByKeys(spec.route));
  if (!lanes_.open()) {
    Footprint footprint = host_->router()->FootprintOf(spec, args);
    if (lanes_.Blocks(footprint)) {
      Hold(exchange, args, std::move(footprint));
      return TellKeptInVain(std::move(kept_in_vain));
    }
  }
  if (GoesAlone(spec, args)) {
    alone_ = exchange;
    BeginWait(spec, args);
  }
  StartExchange(exchange, args, frame, scope());
  TellKeptInVain(std::move(kept_in_vain));
}

void ProxySession::StartExchange(Exchange* exchange, CommandArgs args, std::string_view frame,
                                 Router::Scope with_scope) {
  Router* const router = host_->router();
  const ReadBuffer* const source = frame.empty() ? nullptr : &input_;
  if (!router->has_unproven()) [[likely]] {
    return router->Start(exchange, args, frame, source, with_scope);
  }
  MovedSlots unproven;
  for (const int slot : router->FootprintOf(*exchange->spec(), args).slots) {
    unproven[static_cast<size_t>(slot)] = router->unproven()[static_cast<size_t>(slot)];
  }
  router->Start(exchange, args, frame, source, with_scope);
  // An answer that came at once may have ended the exchange.
  if (unproven.any() && !exchange->from_replica() && IsInFlight(exchange) && !exchange->guards()) {
    exchange->set_guards(lanes_.Guard(unproven, exchange->lane()));
  }
}

bool ProxySession::IsInFlight(const Exchange* exchange) const {
  for (size_t i = in_flight_.size(); i > 0; --i) {  // It is among the latest.
    if (in_flight_.at(i - 1) == exchange) {
      return !exchange->done();
    }
  }
  return false;
}

bool ProxySession::MayReadFromReplica(const CommandSpec& spec) const {
  // A replica may not have what an invalidation was about when the client reads anew.
  if (!host_->router()->has_readers() || spec.may_write() || writes_in_flight_ > 0 ||
      client_.tracking != nullptr) {
    return false;
  }
  return host_->loop()->now_ms() - last_write_ms_ > host_->limits().max_staleness_ms;
}

void ProxySession::AdoptTable(bool from_replicas) {
  Router* const router = host_->router();
  const bool same_servers = from_replicas == from_replicas_ &&
                            (!from_replicas || readers_version_ == router->readers_version());
  if (table_ == router->table() && same_servers) {
    return;
  }
  if (!in_flight_.empty()) {
    const MovedSlots& moved = same_servers ? router->MovedSince(table_) : kAllSlots;
    lanes_.Move(moved);
    for (Exchange* exchange : in_flight_) {
      if (exchange->started() && !exchange->done() && !exchange->guards()) {
        exchange->set_guards(lanes_.Guard(moved, exchange->lane()));
      }
    }
  }
  table_ = router->table();
  from_replicas_ = from_replicas;
  readers_version_ = router->readers_version();
}

void ProxySession::Hold(Exchange* exchange, CommandArgs args, Footprint footprint) {
  HeldRequest held{.exchange = exchange, .words = {}, .scope = scope(), .bytes = 0};
  // Of requests that wait for each other some might go to a replica and some to the master: all go
  // to the master, over the one link that keeps their order.
  exchange->set_from_replica(false);
  for (const std::string_view word : args) {
    held.words.emplace_back(word);
    held.bytes += sizeof(std::string) + word.size();
  }
  waiting_bytes_ += held.bytes;
  lanes_.Hold(++last_held_, std::move(footprint));
  held_.emplace(last_held_, std::move(held));
}

void ProxySession::StartHeld() {
  for (const uint64_t id : lanes_.TakeReady(host_->router()->unproven())) {
    const HeldRequest held = std::move(held_.extract(id).mapped());
    waiting_bytes_ -= held.bytes;
    const std::vector<std::string_view> args(held.words.begin(), held.words.end());
    Exchange* const exchange = held.exchange;
    exchange->times()->routed = host_->loop()->now_micros();
    StartExchange(exchange, args, {}, held.scope);
    if (from_replicas_ && IsInFlight(exchange) && !exchange->guards()) {
      exchange->set_guards(lanes_.Guard(kAllSlots, exchange->lane()));
    }
  }
}

bool ProxySession::OnRefused(Exchange* exchange, uint32_t part, std::string_view error) {
  const int64_t now_ms = host_->loop()->now_ms();
  const int64_t give_up_ms = exchange->times()->routed / 1000 + host_->limits().max_wait_ms;
  const std::vector<std::string_view> words = Split(error, ' ');  // What, slot, owner or epoch.
  int64_t slot = 0;
  if (now_ms >= give_up_ms || words.size() < 3 || !ParseInt64(words[1], &slot) || slot < 0 ||
      slot >= kSlotCount) {
    return false;
  }
  ++host_->counters()->refused_requests;
  RefusedRequest refused = {.number = exchange->number(),
                            .part = part,
                            .is_write = exchange->is_write(),
                            .slots = host_->router()->SlotsOf(*exchange, part).slots,
                            .slot = static_cast<int>(slot),
                            .owner = words[0] == "MOVED" ? std::string(words[2]) : "",
                            .generation = exchange->generation(part),
                            .since_ms = now_ms,
                            .give_up_ms = give_up_ms};
  MovedSlots moved;
  for (const int touched : refused.slots) {
    moved.set(static_cast<size_t>(touched));
  }
  if (exchange->guards()) {
    lanes_.Move(moved);
  } else {
    exchange->set_guards(lanes_.Guard(moved, exchange->lane()));
  }
  refused_.Add(std::move(refused));
  host_->MarkDirty(this);
  return true;
}

void ProxySession::RetryRefused() {
  Router* const router = host_->router();
  std::map<uint64_t, Exchange*> exchanges;
  std::vector<RedirectBook::InFlight> in_flight;
  for (Exchange* exchange : in_flight_) {
    if (!exchange->started() || exchange->done()) {
      continue;
    }
    exchanges.emplace(exchange->number(), exchange);
    if (refused_.CountOf(exchange->number()) < exchange->parts_left()) {
      in_flight.push_back({exchange->number(), exchange->lane()});
    }
  }
  const RedirectBook::Ready ready = refused_.TakeReady(router->generation(), in_flight,
                                                       host_->loop()->now_ms(), router->unproven());
  failing_refused_ = true;
  for (const RefusedRequest& refused : ready.fail) {
    exchanges[refused.number]->OnFailure(refused.part, Status::TryAgain(kSlotChangesOwner),
                                         /*sent=*/false);
  }
  failing_refused_ = false;
  for (const RefusedRequest& refused : ready.follow) {
    host_->Follow(refused.slot, refused.owner);
  }
  for (const RefusedRequest& refused : ready.send) {
    router->Resend(exchanges[refused.number], refused.part);
  }
  if (!refused_.empty()) {
    host_->RetryLater(this);
  }
}

void ProxySession::AnswerHere(const CommandSpec& spec, CommandArgs args) {
  ServiceContext* service = host_->service();
  const int64_t start = service->clock->MonotonicMicros();
  scratch_.clear();
  const bool failed = AnswerConnectionCommand(spec, args, service, &client_, &scratch_, &muted_);
  if (IdOf(spec) == CommandId::kReset) {
    EndTransaction();
    EndSubscriptions();
  }
  const int64_t micros = service->clock->MonotonicMicros() - start;
  parser_.set_authenticated(client_.authenticated);
  host_->counters()->error_replies += failed ? 1 : 0;
  host_->CountCommand(spec, micros, failed);
  const StageTimes times = {.engine = micros, .client = host_->loop()->now_micros() - read_micros_};
  service->diagnostics->OnCommand(spec, args, times, *client_.info, service->clock);
  Reply(scratch_);
  host_->UpdateMonitor(this);
}

// A reply of our own waits its turn behind the replies that are due before it.
void ProxySession::Reply(std::string_view text) {
  if (muted_) {
    return;
  }
  if (in_flight_.empty()) {
    output_.Append(text);
    return;
  }
  Exchange* exchange = host_->exchanges()->New(this, &GetCommand(CommandId::kPing),
                                               client_.protocol, host_->loop()->now_micros());
  in_flight_.push_back(exchange);
  exchange->Answer(std::string(text));
}

void ProxySession::ReplyError(std::string_view text) {
  ++host_->counters()->error_replies;
  std::string reply;
  RespWriter(client_.protocol, &reply).Error(text);
  Reply(reply);
}

void ProxySession::OnProtocolError() {
  ++host_->counters()->protocol_errors;
  muted_ = TakeMute(&client_);
  ReplyError("ERR " + parser_.error());
  closing_ = true;
}

bool ProxySession::Admit(size_t bytes) {
  reply_estimate_ = std::max(bytes, reply_estimate_ - reply_estimate_ / 8);
  if (bytes <= kTinyReply) {
    return true;
  }
  const bool fits = memory() + bytes <= host_->limits().max_memory &&
                    (bytes <= kSmallReply || !budget_.exhausted());
  host_->counters()->dropped_replies += fits ? 0 : 1;
  return fits;
}

// A request that is not complete cannot be run, and to keep it may be why there is no memory.
void ProxySession::RefuseLargeRequest() {
  ReplyError("OOM the proxy has no memory for a large request: buffer-memory-limit is reached");
  closing_ = true;
  starved_ = false;
  input_.Consume(input_.size());
  input_.ReleaseIfEmpty();
  host_->MarkDirty(this);
}

void ProxySession::OnPart(Exchange* exchange, uint32_t part, size_t bytes) {
  waiting_bytes_ += bytes;
  NoteExecuted(exchange, part, /*failed=*/bytes == 0);
}

void ProxySession::NoteExecuted(Exchange* exchange, uint32_t part, bool failed) {
  Router* const router = host_->router();
  if (router->has_unproven() && !failed && !exchange->from_replica()) {
    router->Prove(*exchange, part);
  }
  if (!refused_.empty() && !failing_refused_) {
    refused_.OnExecuted(exchange->number(), router->SlotsOf(*exchange, part), exchange->is_write());
  }
}

OutputQueue* ProxySession::DirectOutput(const Exchange* exchange) {
  const bool next = !in_flight_.empty() && in_flight_.front() == exchange;
  return next && !exchange->muted() ? &output_ : nullptr;
}

void ProxySession::OnDone(Exchange* exchange, bool written) {
  exchange->times()->answered = host_->loop()->now_micros();
  if (exchange->spec()->route != Route::kProxy) {
    const int64_t micros = exchange->times()->answered - exchange->times()->parsed;
    host_->CountCommand(*exchange->spec(), micros, exchange->failed());
    host_->counters()->error_replies += exchange->failed() ? 1 : 0;
  }
  if (exchange->is_write()) {
    --writes_in_flight_;
    last_write_ms_ = host_->loop()->now_ms();
  }
  request_bytes_ -= exchange->request_size();
  if (exchange->executed()) {
    NoteExecuted(exchange, 0, exchange->failed());
  }
  waiting_bytes_ -= exchange->part_bytes();
  if (exchange->guards()) {
    exchange->set_guards(false);
    lanes_.Finish(exchange->lane());
  }
  if (exchange == alone_) {
    OnAloneDone(exchange);
  }
  if (written) {
    in_flight_.pop_front();
    NoteTimes(exchange);
    host_->exchanges()->Written(exchange);
    WriteFinished();
  } else {
    waiting_bytes_ += exchange->held_bytes();
  }
  host_->MarkDirty(this);
}

void ProxySession::NoteTimes(Exchange* exchange) {
  const int64_t now = host_->loop()->now_micros();
  Diagnostics* const diagnostics = host_->service()->diagnostics;
  // What is answered here is noted where it is answered.
  const int64_t micros = now - exchange->times()->arrived;
  if (diagnostics->IsSlow(micros) && exchange->spec()->route != Route::kProxy &&
      host_->MayLogSlow(micros)) [[unlikely]] {
    diagnostics->OnCommand(exchange->sample(),
                           StagesOf(*exchange->times(), exchange->link_wait(), now), *client_.info,
                           host_->service()->clock);
  }
}

void ProxySession::WriteFinished() {
  while (!in_flight_.empty() && in_flight_.front()->done()) {
    Exchange* exchange = in_flight_.front();
    in_flight_.pop_front();
    waiting_bytes_ -= exchange->held_bytes();
    if (!exchange->muted()) {
      exchange->WriteTo(&output_);
    }
    NoteTimes(exchange);
    host_->exchanges()->Written(exchange);
  }
}

void ProxySession::OnTurnEnd() {
  if (closed_) {
    return;
  }
  if (lost_messages_) {
    KVS_LOG(kWarning, "closed {}: it has missed messages, see pubsub-output-limit or its node",
            client_.info->address);
    return Close();
  }
  AdoptTable(from_replicas_ && host_->router()->has_readers());
  StartHeld();
  if (!refused_.empty()) {
    RetryRefused();
  }
  WriteFinished();
  Flush();
  waits_to_be_alone_ = waits_to_be_alone_ && !in_flight_.empty();
  if (!closed_ && starved_ && HasRoom()) {
    ProcessInput();
  }
  if (!closed_) {
    UpdateInterest();
  }
}

void ProxySession::Flush() {
  if (!blocked_ && !output_.empty()) {
    const size_t before = output_.size();
    // The client must not see the last reply before the end: it might send its next request.
    const bool corks = ends_with_reply_ && in_flight_.empty();
    if (corks) {
      SetCork(fd_.get(), true);
    }
    const IoResult result = output_.WriteTo(fd_.get());
    if (output_.size() < before) {
      host_->counters()->output_bytes += before - output_.size();
      ClientInfo::Bump(&client_.info->total_output, before - output_.size());
      NoteActivity();  // Whoever takes a large reply bit by bit is not idle.
    }
    if (result == IoResult::kClosed) {
      return Close();
    }
    blocked_ = result == IoResult::kWouldBlock;
    closing_ |= ends_with_reply_ && at_boundary();
    if (corks && !closing_) {
      SetCork(fd_.get(), false);
    }
  }
  client_.info->output_bytes.store(output_.size() + waiting_bytes_, std::memory_order_relaxed);
  if (closing_ && idle()) {
    Close();
  }
}

void ProxySession::UpdateInterest() {
  host_->loop()->SetInterest(
      watch_, static_cast<uint8_t>(((HasRoom() || waits_for_keys()) && !eof_ ? kReadable : 0) |
                                   (blocked_ ? kWritable : 0)));
}

}  // namespace kvs
