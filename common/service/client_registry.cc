#include "common/service/client_registry.h"

#include <fmt/format.h>

#include <utility>

#include "common/command/command_table.h"
#include "common/net/socket.h"

namespace kvs {

ClientInfo::ClientInfo(uint64_t id_arg, std::string address_arg, std::string local_address_arg,
                       int fd_arg, int64_t now_ms, Closer closer)
    : id(id_arg),
      address(std::move(address_arg)),
      local_address(std::move(local_address_arg)),
      fd(fd_arg),
      created_ms(now_ms),
      last_active_ms(now_ms),
      closer_(std::move(closer)) {}

void ClientInfo::SetName(std::string_view name) {
  const MutexLock lock(&mu_);
  name_ = name;
}

std::string ClientInfo::name() const {
  const MutexLock lock(&mu_);
  return name_;
}

void ClientInfo::SetUser(std::string_view name) {
  const MutexLock lock(&mu_);
  user_ = name;
}

std::string ClientInfo::user() const {
  const MutexLock lock(&mu_);
  return user_;
}

void ClientInfo::SetLibraryName(std::string_view name) {
  const MutexLock lock(&mu_);
  library_name_ = name;
}

void ClientInfo::SetLibraryVersion(std::string_view version) {
  const MutexLock lock(&mu_);
  library_version_ = version;
}

void ClientInfo::SetLibrary(std::string_view name, std::string_view version) {
  const MutexLock lock(&mu_);
  library_name_ = name;
  library_version_ = version;
}

bool ClientInfo::AskUnblock(bool with_error) const {
  if (!blocked.load(std::memory_order_relaxed)) {
    return false;
  }
  unblock_.store(with_error ? UnblockAsked::kError : UnblockAsked::kTimeout,
                 std::memory_order_relaxed);
  if (closer_) {
    closer_();
  }
  return true;
}

// The letters of Redis, in its order.
std::string ClientInfo::Flags() const {
  std::string flags;
  flags += multi.load(std::memory_order_relaxed) >= 0 ? "x" : "";
  flags += blocked.load(std::memory_order_relaxed) ? "b" : "";
  flags += monitor.load(std::memory_order_relaxed) ? "O" : "";
  flags += subscribed() ? "P" : "";
  flags += tracking.load(std::memory_order_relaxed) ? "t" : "";
  flags += redirect_broken.load(std::memory_order_relaxed) ? "R" : "";
  flags += tracking_bcast.load(std::memory_order_relaxed) ? "B" : "";
  flags += address.ends_with(":0") ? "U" : "";
  flags += no_evict.load(std::memory_order_relaxed) ? "e" : "";
  flags += no_touch.load(std::memory_order_relaxed) ? "T" : "";
  return flags.empty() ? "N" : flags;
}

std::string ClientInfo::Describe(int64_t now_ms) const {
  const int command = last_command.load(std::memory_order_relaxed);
  const uint64_t output = output_bytes.load(std::memory_order_relaxed);
  const MutexLock lock(&mu_);
  return fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db=0 sub={} psub={} ssub={} "
      "multi={} qbuf={} qbuf-free=0 argv-mem=0 multi-mem={} rbs=0 rbp=0 obl=0 oll={} omem={} "
      "tot-mem={} events=r cmd={} user={} redir={} resp={} lib-name={} lib-ver={} "
      "tot-net-in={} tot-net-out={} tot-cmds={}",
      id, address, local_address, fd, name_, (now_ms - created_ms) / 1000,
      (now_ms - last_active_ms.load(std::memory_order_relaxed)) / 1000, Flags(),
      channels.load(std::memory_order_relaxed), patterns.load(std::memory_order_relaxed),
      shard_channels.load(std::memory_order_relaxed), multi.load(std::memory_order_relaxed),
      input_bytes.load(std::memory_order_relaxed), multi_bytes.load(std::memory_order_relaxed),
      output > 0 ? 1 : 0, output,
      input_bytes.load(std::memory_order_relaxed) + multi_bytes.load(std::memory_order_relaxed) +
          output,
      command < 0 ? "NULL" : kCommands[command].name, user_,
      tracking_redirect.load(std::memory_order_relaxed), protocol.load(std::memory_order_relaxed),
      library_name_, library_version_, total_input.load(std::memory_order_relaxed),
      total_output.load(std::memory_order_relaxed), total_commands.load(std::memory_order_relaxed));
}

std::shared_ptr<ClientInfo> ClientRegistry::Add(int fd, int64_t now_ms, ClientInfo::Closer closer) {
  std::string address = PeerName(fd);
  std::string local_address = LocalName(fd);
  if (address == ":0") {
    address = local_address;  // The client's end of a unix socket has no name.
  }
  const MutexLock lock(&mu_);
  const uint64_t id = ++last_id_;
  auto client = std::make_shared<ClientInfo>(id, std::move(address), std::move(local_address), fd,
                                             now_ms, std::move(closer));
  clients_.emplace(id, client);
  count_.store(clients_.size(), std::memory_order_relaxed);
  return client;
}

void ClientRegistry::Remove(uint64_t id) {
  const MutexLock lock(&mu_);
  clients_.erase(id);
  count_.store(clients_.size(), std::memory_order_relaxed);
}

void ClientRegistry::ForEach(const std::function<void(const ClientInfo&)>& visit) const {
  const MutexLock lock(&mu_);
  for (const auto& [id, client] : clients_) {
    if (!client->killed()) {
      visit(*client);
    }
  }
}

bool ClientRegistry::Visit(uint64_t id, const std::function<void(const ClientInfo&)>& visit) const {
  const MutexLock lock(&mu_);
  const auto found = clients_.find(id);
  if (found == clients_.end() || found->second->killed()) {
    return false;
  }
  visit(*found->second);
  return true;
}

}  // namespace kvs
