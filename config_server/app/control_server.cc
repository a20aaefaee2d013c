#include "config_server/app/control_server.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/logging.h"
#include "common/net/socket.h"
#include "config_server/app/config_metrics.h"
#include "config_server/app/control_session.h"

namespace kvs {
namespace {

constexpr int64_t kSweepMillis = 500;

}  // namespace

ControlServer::ControlServer(EventLoop* loop, UniqueFd fd, ControlServerOptions options,
                             ControlHost* host, MetricCells* metrics)
    : loop_(loop),
      options_(std::move(options)),
      host_(host),
      metrics_(metrics),
      port_(LocalPort(fd.get())),
      listener_(loop, std::move(fd), [this](UniqueFd client) { OnAccept(std::move(client)); }) {}

ControlServer::~ControlServer() {
  Stop();
}

Status ControlServer::Start() {
  KVS_RETURN_IF_ERROR(listener_.Start());
  sweep_ = loop_->Every(kSweepMillis, [this] { Sweep(); });
  return Status::Ok();
}

void ControlServer::Stop() {
  loop_->AssertInLoop();
  listener_.Stop();
  loop_->Cancel(std::exchange(sweep_, kNoTimer));
  while (!sessions_.empty()) {
    sessions_.begin()->second->Close();
  }
}

void ControlServer::OnAccept(UniqueFd fd) {
  metrics_->Increment(kConfig_control_links_total);
  if (sessions_.size() >= kMaxControlLinks || StrangerCount() >= kMaxControlStrangers) {
    metrics_->Increment(kConfig_control_refused_total);
    return;
  }
  // A push behind a reply must not wait for the peer's acknowledgement.
  SetNoDelay(fd.get());
  SetKeepAlive(fd.get(), 60);
  const LinkId link = ++last_link_;
  const auto added =
      sessions_.emplace(link, std::make_unique<ControlSession>(this, link, std::move(fd)));
  const Status started = added.first->second->Start();
  if (!started.ok()) {
    KVS_LOG(kWarning, "cannot serve a control link: {}", started.message());
    Close(link);
  }
}

size_t ControlServer::StrangerCount() const {
  return static_cast<size_t>(
      std::count_if(sessions_.begin(), sessions_.end(),
                    [](const auto& entry) { return !entry.second->authenticated(); }));
}

void ControlServer::OnSessionClosed(LinkId link) {
  const auto found = sessions_.find(link);
  KVS_CHECK(found != sessions_.end());
  loop_->DeleteLater(std::move(found->second));
  sessions_.erase(found);
  host_->OnLinkClosed(link);
}

// Cuts off who is too slow.
void ControlServer::Sweep() {
  std::vector<ControlSession*> late;
  for (const auto& [link, session] : sessions_) {
    if (session->IsLate(loop_->now_ms())) {
      late.push_back(session.get());
    }
  }
  for (ControlSession* session : late) {
    session->Refuse("it said nothing for too long");
  }
}

ControlSession* ControlServer::Find(LinkId link) {
  const auto found = sessions_.find(link);
  return found == sessions_.end() ? nullptr : found->second.get();
}

void ControlServer::FinishRegistration(LinkId link, const Result<RegistrationReply>& reply) {
  loop_->AssertInLoop();
  if (ControlSession* const session = Find(link); session != nullptr) {
    session->FinishRegistration(reply);
  }
}

void ControlServer::Push(LinkId link, std::string_view push) {
  loop_->AssertInLoop();
  if (ControlSession* const session = Find(link); session != nullptr) {
    session->Send(push);
  }
}

void ControlServer::Close(LinkId link) {
  loop_->AssertInLoop();
  if (ControlSession* const session = Find(link); session != nullptr) {
    session->Close();
  }
}

}  // namespace kvs
