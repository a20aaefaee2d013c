#include "proxy/app/proxy_worker.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "common/base/logging.h"
#include "common/net/socket.h"
#include "common/service/maintenance.h"
#include "common/service/protected_mode.h"

namespace kvs {
namespace {

constexpr int64_t kDeadlineCheckMs = 10;
constexpr int64_t kHousekeepingMs = 100;
constexpr int64_t kQuietCheckMs = 1000;
constexpr int64_t kRetryRefusedMs = 5;
// Slow commands that are logged between two deadline checks, beside those that are slower by far.
constexpr int kMaxSlowLogged = 16;
// Smaller changes of the buffers are told with the deadline check and not at once.
constexpr size_t kBudgetStep = 256 * 1024;

}  // namespace

ProxyWorker::ProxyWorker(std::string name, const ServiceContext& service, MemoryBudget* budget,
                         MetricCells* metrics, ProxyOptionsPtr options, size_t index)
    : service_(service),
      budget_(budget),
      metrics_(metrics),
      options_(std::move(options)),
      loop_(std::move(name)),
      prober_(&loop_, &links_, &router_, index),
      links_(&loop_, MakeLinkOptions()),
      router_(&links_),
      relay_(&loop_, &links_, &router_),
      sessions_(&loop_, service, [](ProxySession* /*session*/) {}) {
  ApplyOptions();
  loop_.AddTurnHook(this);
  loop_.Every(kDeadlineCheckMs, [this] {
    UpdateBudget();
    slow_logged_ = 0;
    slowest_us_ = 0;
    links_.CheckDeadlines();
    relay_.CheckDeadlines(options_->backend_timeout.count());
    UpdateTracking();
    router_.ForgetUnproven(loop_.now_ms());
    ReportFailures();
  });
  loop_.Every(kHousekeepingMs, [this] {
    PublishMetrics();
    sessions_.CloseIdle(options_->timeout.count(), options_->client_output_timeout.count());
  });
  loop_.Every(kQuietCheckMs, [this] {
    sessions_.ForEach([](ProxySession* session) { session->ReleaseIfQuiet(); });
  });
}

ProxyWorker::~ProxyWorker() {
  BeginStop();
  Join();
  prober_.Stop();
  if (sampler_ != nullptr) {
    sampler_->Stop();
  }
}

LinkOptions ProxyWorker::MakeLinkOptions() const {
  LinkOptions link;
  link.password = options_->backend_auth;
  link.connect_timeout_ms = options_->backend_connect_timeout.count();
  link.request_timeout_ms = options_->backend_timeout.count();
  link.keepalive_seconds = static_cast<int>(options_->backend_keepalive.count() / 1000);
  link.max_reply_bytes = ToInt(options_->session_memory_limit);
  link.budget = budget_;
  return link;
}

void ProxyWorker::ApplyOptions() {
  limits_.request.max_bulk_bytes = ToInt(options_->proto_max_bulk_len);
  limits_.request.max_request_bytes = ToInt(options_->client_query_buffer_limit);
  limits_.max_pipeline = static_cast<size_t>(options_->max_pipeline);
  limits_.max_messages = ToInt(options_->pubsub_output_limit);
  limits_.max_output = ToInt(options_->client_output_soft_limit);
  limits_.max_memory = ToInt(options_->session_memory_limit);
  limits_.script_patience_ms = options_->script_timeout.count();
  limits_.max_wait_ms = options_->backend_timeout.count();
  limits_.max_staleness_ms = options_->replica_max_staleness.count() + 2 * ReplicaProber::kPeriodMs;
  links_.set_options(MakeLinkOptions());
  prober_.SetPolicy(ParseReadFrom(options_->read_from), options_->replica_max_staleness.count());
}

Status ProxyWorker::Listen(UniqueFd socket) {
  listeners_.push_back(std::make_unique<Listener>(
      &loop_, std::move(socket), [this](UniqueFd fd) { OnAccept(std::move(fd)); }));
  return listeners_.back()->Start();
}

void ProxyWorker::ReportFailures() {
  for (const auto& [address, link] : links_.links()) {
    const int failures = link->failures_in_row();
    const int before = std::exchange(reported_failures_[address], failures);
    if (failures > before) {
      on_failure_(address, failures);
    }
  }
  std::erase_if(reported_failures_,
                [this](const auto& entry) { return !links_.links().contains(entry.first); });
}

void ProxyWorker::StartThread() {
  thread_ = Thread::Batching(loop_.name(), [this] { loop_.Run(); });
}

void ProxyWorker::ListenLater(UniqueFd socket) {
  loop_.PostAlways([this, fd = socket.release()] {
    if (Status status = Listen(UniqueFd(fd)); !status.ok()) {
      KVS_LOG(kError, "cannot watch a listening socket: {}", status.message());
    }
  });
}

void ProxyWorker::BeginDrain(const DrainOrder& order) {
  loop_.PostAlways([this, order] { StartDrain(order); });
}

void ProxyWorker::StartDrain(const DrainOrder& order) {
  for (const auto& listener : listeners_) {
    if (!order.handed_over) {
      listener->AcceptBacklog();
    }
    listener->Stop();
  }
  const DrainPolicy policy(loop_.now_ms(), order.grace_ms, order.handed_over);
  sessions_.ForEach([&](ProxySession* session) {
    MovingNotice notice = {.number = order.number,
                           .seconds = policy.seconds_left(loop_.now_ms()),
                           .endpoint = order.endpoint};
    if (order.handed_over && order.endpoint.empty() &&
        !session->client()->info->local_address.ends_with(":0")) {  // No unix socket.
      notice.endpoint = session->client()->info->local_address;
    }
    session->TellToMove(notice);
  });
  Drain(policy, order.on_done);
}

void ProxyWorker::Drain(const DrainPolicy& policy, const std::function<void()>& on_done) {
  const int64_t now_ms = loop_.now_ms();
  sessions_.CloseIf([&](ProxySession* session) {
    DrainPolicy::View view = {.at_boundary = true,
                              .told = session->told_to_move(),
                              .quiet_ms = now_ms - session->last_active_ms()};
    if (policy.EndsWithReply(view, now_ms)) {
      session->EndWithReply();
    }
    if (!policy.MayClose(view, now_ms)) {
      return false;
    }
    view.at_boundary = session->at_boundary();  // Asks the kernel.
    return policy.MayClose(view, now_ms);
  });
  if (sessions_.empty()) {
    return on_done();
  }
  loop_.After(kDeadlineCheckMs, [this, policy, on_done] { Drain(policy, on_done); });
}

void ProxyWorker::BeginStop() {
  if (!thread_.joinable()) {
    return;
  }
  loop_.PostAlways([this] {
    listeners_.clear();
    sessions_.CloseIf([](const ProxySession* /*session*/) { return true; });
    loop_.Stop();
  });
}

void ProxyWorker::SetTable(RouteTablePtr table) {
  loop_.PostAlways([this, table = std::move(table)]() mutable {
    router_.SetTable(std::move(table));
    followed_ms_.clear();
    prober_.OnTable();
    relay_.OnTable();
    UpdateTracking();
    sessions_.ForEach([this](ProxySession* session) { MarkDirty(session); });
  });
}

void ProxyWorker::SetOptions(ProxyOptionsPtr options) {
  loop_.PostAlways([this, options = std::move(options)]() mutable {
    options_ = std::move(options);
    ApplyOptions();
  });
}

void ProxyWorker::ReviewUsers() {
  loop_.PostAlways([this] { sessions_.ReviewUsers(service_); });
}

void ProxyWorker::SetCluster(ClusterViewPtr cluster) {
  loop_.PostAlways([this, cluster = std::move(cluster)]() mutable {
    service_.cluster = std::move(cluster);
    router_.SetShare(service_.cluster->own_slots());
  });
}

void ProxyWorker::OnAccept(UniqueFd fd) {
  if (static_cast<int64_t>(service_.clients->count()) >= options_->maxclients) {
    metrics_->Increment(kProxy_connections_rejected_total);
    constexpr std::string_view kFull = "-ERR max number of clients reached\r\n";
    (void)::send(fd.get(), kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  if (IsProtectedFrom(*options_, service_.acl->is_open(), fd.get())) {
    metrics_->Increment(kProxy_connections_rejected_total);
    (void)::send(fd.get(), kProtectedModeError.data(), kProtectedModeError.size(),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  SetNoDelay(fd.get());
  SetKeepAlive(fd.get(), static_cast<int>(options_->tcp_keepalive.count() / 1000));
  SetUserTimeout(fd.get(), static_cast<int>(options_->tcp_user_timeout.count()));
  std::shared_ptr<ClientInfo> info = sessions_.AddClient(fd.get());
  ProxySession* raw =
      sessions_.Add(std::make_unique<ProxySession>(this, std::move(fd), std::move(info)));
  BeginClient(service_, raw->client());
  metrics_->Increment(kProxy_connections_total);
  metrics_->Increment(kProxy_client_connections);
  if (Status status = raw->Start(); !status.ok()) {
    KVS_LOG(kWarning, "cannot watch a connection: {}", status.message());
    raw->Close();
  }
}

void ProxyWorker::OnClosed(ProxySession* session) {
  metrics_->Add(kProxy_client_connections, -1);
  std::erase(dirty_, session);
  std::erase(retrying_, session);
  sessions_.Remove(session);
}

void ProxyWorker::MarkDirty(ProxySession* session) {
  if (!session->dirty() && !session->closed()) {
    session->set_dirty(true);
    dirty_.push_back(session);
  }
}

void ProxyWorker::RetryLater(ProxySession* session) {
  if (!session->retrying()) {
    session->set_retrying(true);
    retrying_.push_back(session);
  }
  if (retry_timer_ == kNoTimer) {
    retry_timer_ = loop_.After(kRetryRefusedMs, [this] {
      retry_timer_ = kNoTimer;
      for (ProxySession* waiting : std::exchange(retrying_, {})) {
        waiting->set_retrying(false);
        MarkDirty(waiting);
      }
    });
  }
}

bool ProxyWorker::MayLogSlow(int64_t micros) {
  if (slow_logged_ >= kMaxSlowLogged && micros < slowest_us_ + slowest_us_ / 4) {
    return false;
  }
  ++slow_logged_;
  slowest_us_ = std::max(slowest_us_, micros);
  return true;
}

// Two nodes that both say it is the other make no more of this than one try after the other.
void ProxyWorker::Follow(int slot, std::string_view owner) {
  const auto last = followed_ms_.find(slot);
  if (last != followed_ms_.end() && loop_.now_ms() - last->second < RedirectBook::kPatienceMs) {
    return;
  }
  if (router_.Follow(slot, owner)) {
    followed_ms_[slot] = loop_.now_ms();
    prober_.OnTable();
    relay_.OnTable();
    UpdateTracking();
    sessions_.ForEach([this](ProxySession* session) { MarkDirty(session); });
  }
}

void ProxyWorker::CountCommand(const CommandSpec& spec, int64_t micros, bool failed) {
  metrics_->CountCommand(static_cast<int>(IdOf(spec)), micros, failed);
  metrics_->Observe(kProxy_request_seconds, micros);
}

// Sessions first: what they start leaves with the links' write.
void ProxyWorker::OnTurnEnd() {
  while (!dirty_.empty()) {
    std::vector<ProxySession*> sessions = std::exchange(dirty_, {});
    for (ProxySession* session : sessions) {
      session->set_dirty(false);
    }
    for (ProxySession* session : sessions) {
      session->OnTurnEnd();
    }
  }
  links_.FlushAll();
  relay_.Flush();
  if (tracking_feed_ != nullptr) {
    tracking_feed_->Flush();
  }
  if (budget_share_.IsOff(Block::ThreadBytesInUse(), kBudgetStep)) {
    UpdateBudget();
  }
}

void ProxyWorker::UpdateTracking() {
  if (tracking_feed_ != nullptr) {
    tracking_feed_->Update(options_->backend_timeout.count());
  }
}

void ProxyWorker::UpdateBudget() {
  budget_share_.Update(Block::ThreadBytesInUse());
  const bool relieved = pressed_ && !budget_->pressed();
  pressed_ = budget_->pressed();
  if (relieved) {
    sessions_.ForEach([this](ProxySession* session) { MarkDirty(session); });
  }
}

void ProxyWorker::PublishMetrics() {
  metrics_->Set(kProxy_requests_total, static_cast<int64_t>(counters_.requests));
  metrics_->Set(kProxy_input_bytes_total, static_cast<int64_t>(counters_.input_bytes));
  metrics_->Set(kProxy_output_bytes_total, static_cast<int64_t>(counters_.output_bytes));
  metrics_->Set(kProxy_protocol_errors_total, static_cast<int64_t>(counters_.protocol_errors));
  metrics_->Set(kProxy_error_replies_total, static_cast<int64_t>(counters_.error_replies));
  metrics_->Set(kProxy_refused_requests_total, static_cast<int64_t>(counters_.refused_requests));
  metrics_->Set(kProxy_requests_in_flight, static_cast<int64_t>(exchanges_.in_use()));
  metrics_->Set(kProxy_buffer_bytes, static_cast<int64_t>(Block::ThreadBytesInUse()));
  LinkStats sum;
  int64_t connected = 0;
  for (const auto& [address, link] : links_.links()) {
    sum.requests += link->stats().requests;
    sum.failures += link->stats().failures;
    sum.timeouts += link->stats().timeouts;
    sum.connects += link->stats().connects;
    sum.dropped_replies += link->stats().dropped_replies;
    connected += link->connected() ? 1 : 0;
  }
  metrics_->Set(kProxy_replica_reads_total, static_cast<int64_t>(router_.replica_reads()));
  metrics_->Set(kProxy_backend_requests_total, static_cast<int64_t>(sum.requests));
  metrics_->Set(kProxy_backend_failures_total, static_cast<int64_t>(sum.failures));
  metrics_->Set(kProxy_backend_timeouts_total, static_cast<int64_t>(sum.timeouts));
  metrics_->Set(kProxy_backend_connects_total, static_cast<int64_t>(sum.connects));
  metrics_->Set(kProxy_backend_connections, connected);
  metrics_->Set(kProxy_dropped_replies_total,
                static_cast<int64_t>(counters_.dropped_replies + sum.dropped_replies));
}

}  // namespace kvs
