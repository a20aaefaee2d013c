#include "storage_node/migrate/target_link.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/check.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

// An answer is a line; more than this at once is sent by nobody who was asked.
constexpr size_t kReadSize = 16 * 1024;
// Names that DNS does not answer about pile up no further.
constexpr int kMaxLookups = 16;

}  // namespace

TargetLink::TargetLink(EventLoop* loop, Owner* owner, NameLookup lookup)
    : loop_(loop), owner_(owner), resolver_(loop, std::move(lookup)) {}

void TargetLink::Open(const std::string& host, uint16_t port, int64_t timeout_ms) {
  loop_->AssertInLoop();
  KVS_CHECK(timer_ == kNoTimer);
  port_ = port;
  timeout_ms_ = timeout_ms;
  input_.clear();
  Touch();
  ArmTimer(timeout_ms_);
  has_address_ = IsNumericHost(host);
  if (has_address_) {
    addresses_ = {host};
    return TryNextAddress();
  }
  if (lookups_ == kMaxLookups) {
    return Lose();
  }
  ++lookups_;
  resolver_.Resolve(host, [this, round = round_](const Result<std::vector<std::string>>& found) {
    --lookups_;
    if (round != round_) {
      return;
    }
    if (found.ok()) {
      addresses_.assign(found->rbegin(), found->rend());
      has_address_ = true;
    }
    TryNextAddress();
  });
}

void TargetLink::Close() {
  ++round_;
  loop_->Cancel(std::exchange(timer_, kNoTimer));
  if (watch_ != nullptr) {
    loop_->Unwatch(std::exchange(watch_, nullptr));
  }
  fd_.reset();
  connected_ = false;
  addresses_.clear();
  std::string().swap(output_);
  sent_ = 0;
}

void TargetLink::TryNextAddress() {
  while (!addresses_.empty()) {
    const std::string address = std::move(addresses_.back());
    addresses_.pop_back();
    Result<UniqueFd> fd = StartConnect(address, port_);
    if (!fd.ok()) {
      continue;
    }
    Result<IoWatch*> watch = loop_->Watch(fd->get(), this, kWritable);
    if (watch.ok()) {
      fd_ = *std::move(fd);
      watch_ = *watch;
      return;
    }
  }
  Lose();
}

void TargetLink::OnConnectEnd() {
  if (!ConnectError(fd_.get()).ok()) {
    loop_->Unwatch(std::exchange(watch_, nullptr));
    fd_.reset();
    return TryNextAddress();
  }
  connected_ = true;
  SetNoDelay(fd_.get());
  Touch();
  UpdateInterest();
  owner_->OnConnected();
}

void TargetLink::OnReady(bool readable, bool writable) {
  if (!connected_) {
    return OnConnectEnd();
  }
  if (writable && !Flush()) {
    return;
  }
  if (readable && !Receive()) {
    return;
  }
  UpdateInterest();
}

void TargetLink::Send(std::string bytes) {
  KVS_CHECK(connected_);
  Touch();
  if (unsent() > 0) {
    output_ += bytes;
  } else {
    output_ = std::move(bytes);
    sent_ = 0;
  }
  UpdateInterest();
}

bool TargetLink::Flush() {
  const uint64_t round = round_;
  if (unsent() == 0) {
    return true;
  }
  while (unsent() > 0) {
    const ssize_t size =
        ::send(fd_.get(), output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
    if (size > 0) {
      sent_ += static_cast<size_t>(size);
      Touch();
    } else if (size < 0 && errno == EINTR) {
      continue;
    } else if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return true;
    } else {
      // What it has said before it closed tells why it did.
      if (Receive()) {
        Lose();
      }
      return false;
    }
  }
  std::string().swap(output_);
  sent_ = 0;
  owner_->OnSent();
  return round == round_;
}

bool TargetLink::Receive() {
  const uint64_t round = round_;
  const size_t before = input_.size();
  input_.resize(before + kReadSize);
  ssize_t size = 0;
  do {
    size = ::recv(fd_.get(), input_.data() + before, kReadSize, 0);
  } while (size < 0 && errno == EINTR);
  input_.resize(before + static_cast<size_t>(std::max<ssize_t>(size, 0)));
  if (size > 0) {
    Touch();
    owner_->OnInput();
    return round == round_;
  }
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return true;
  }
  Lose();
  return false;
}

void TargetLink::Lose() {
  // Redis finds out when it writes that nobody has taken the connection.
  const TargetLoss loss = !has_address_                 ? TargetLoss::kConnecting
                          : !connected_ || unsent() > 0 ? TargetLoss::kWriting
                                                        : TargetLoss::kReading;
  Close();
  owner_->OnLost(loss);
}

// Not the time of the turn: what the owner does in one may take long.
void TargetLink::Touch() {
  heard_ms_ = loop_->clock()->MonotonicMillis();
}

void TargetLink::ArmTimer(int64_t delay_ms) {
  timer_ = loop_->After(delay_ms, [this] {
    timer_ = kNoTimer;
    const int64_t left_ms = heard_ms_ + timeout_ms_ - loop_->clock()->MonotonicMillis();
    if (left_ms > 0) {
      ArmTimer(left_ms);
    } else {
      Lose();
    }
  });
}

void TargetLink::UpdateInterest() {
  const int interest = kReadable | (unsent() > 0 ? kWritable : 0);
  loop_->SetInterest(watch_, static_cast<uint8_t>(interest));
}

}  // namespace kvs
