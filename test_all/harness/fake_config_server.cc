#include "test_all/harness/fake_config_server.h"

#include <map>
#include <utility>

#include "common/base/check.h"
#include "common/base/file.h"
#include "common/control/control_message.h"

namespace kvs {
namespace {

std::string IdOf(uint16_t port) {
  const std::string digits = std::to_string(port);
  return std::string(kNodeIdSize - digits.size(), '0') + digits;
}

std::string BulkOf(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

}  // namespace

FakeConfigServer::FakeConfigServer(const TempDir& dir)
    : secret_file_(dir.Join("fake-secret")),
      server_([this](FakePeer* peer,
                     const std::vector<std::string>& request) { OnRequest(peer, request); },
              /*greets=*/false) {
  KVS_CHECK(WriteFileAtomic(secret_file_, std::string(64, 'a'), 0600).ok());
}

Words FakeConfigServer::JoinOptions() const {
  return {"--config-servers", server_.address(), "--cluster-secret-file", secret_file_};
}

size_t FakeConfigServer::BlockOf(std::string_view key) {
  return static_cast<size_t>(SlotOf(key)) * kBlocks / static_cast<size_t>(kSlotCount);
}

void FakeConfigServer::Publish(const std::vector<uint16_t>& owners) {
  KVS_CHECK(owners.size() == kBlocks);
  constexpr int kBlockSlots = kSlotCount / static_cast<int>(kBlocks);
  std::map<uint16_t, Shard> shards;
  for (size_t i = 0; i < kBlocks; ++i) {
    Shard& shard = shards[owners[i]];
    shard.id = "shard-" + std::to_string(owners[i]);
    shard.master = {IdOf(owners[i]), {"127.0.0.1", owners[i]}};
    const int first = static_cast<int>(i) * kBlockSlots;
    shard.slots.push_back({first, first + kBlockSlots - 1});
  }
  SlotMapParts parts;
  parts.name = "main";
  parts.epoch = ++epoch_;
  for (auto& [port, shard] : shards) {
    parts.shards.push_back(std::move(shard));
  }
  const Result<SlotMapPtr> map = SlotMap::Build(parts);
  KVS_CHECK(map.ok());
  std::string push;
  EncodeMapPush(**map, &push);
  {
    const MutexLock lock(&mu_);
    push_ = push;
  }
  server_.Run([&] { server_.ForEach([&push](FakePeer* peer) { peer->Send(push); }); });
}

void FakeConfigServer::OnRequest(FakePeer* peer, const std::vector<std::string>& request) {
  if (request[0] == "HELLO") {
    return peer->Send("%0\r\n");
  }
  if (request.size() > 1 && request[1] == "REGISTER") {
    peer->Send(BulkOf(R"({"ok":true,"namespace":"main","epoch":0})"));
    ++registered_;
    const MutexLock lock(&mu_);
    return peer->Send(push_);
  }
  peer->Send(BulkOf(R"({"epoch":0})"));
}

}  // namespace kvs
