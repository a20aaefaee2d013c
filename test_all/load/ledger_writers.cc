#include "test_all/load/ledger_writers.h"

#include <optional>
#include <utility>

namespace kvs {
namespace {

constexpr int kWriters = 4;
constexpr int kPipelineDepth = 64;
constexpr uint64_t kKeysOfAKind = 24;
// An appended value starts anew, under another key, after this many writes.
constexpr uint64_t kAppendsOfAKey = 400;

}  // namespace

Ledger::Write LedgerWriter::Next(std::string* bytes) {
  const uint64_t n = random_.Uniform(kKeysOfAKind);
  ++sent_;
  Ledger::Write write;
  switch (random_.Uniform(4)) {
    case 0:
      write = ledger_.Send(prefix_ + "count:" + std::to_string(n), LedgerKind::kCount);
      *bytes += EncodeWords({"incr", write.key});
      break;
    case 1:
      write = ledger_.Send(prefix_ + "append:" + std::to_string(sent_ / kAppendsOfAKey),
                           LedgerKind::kAppend);
      *bytes += EncodeWords({"append", write.key, LedgerToken(write.number)});
      break;
    case 2:
      write = ledger_.Send(prefix_ + "set:" + std::to_string(n), LedgerKind::kSet);
      *bytes += EncodeWords({"set", write.key, LedgerToken(write.number)});
      break;
    default:
      write = ledger_.Send(prefix_ + "new:" + std::to_string(sent_), LedgerKind::kSet);
      *bytes += EncodeWords({"set", write.key, LedgerToken(write.number)});
      break;
  }
  return write;
}

// Returns false if the connection is gone.  An error reply is no acknowledgement.
bool LedgerWriter::RunBatch(RespClient* client) {
  std::string bytes;
  std::vector<Ledger::Write> writes;
  for (int i = 0; i < kPipelineDepth; ++i) {
    writes.push_back(Next(&bytes));
  }
  if (!client->Send(bytes).ok()) {
    return false;
  }
  for (const Ledger::Write& write : writes) {
    const Result<std::string> reply = client->ReadFrame();
    if (!reply.ok()) {
      return false;
    }
    if (!reply->starts_with("-")) {
      ledger_.Acknowledge(write);
      ++acknowledged_;
    }
  }
  return true;
}

void LedgerWriter::Run(uint16_t port) {
  Result<RespClient> client = RespClient::Connect(port);
  while (!stop_ && client.ok() && RunBatch(&*client)) {
  }
}

LedgerWriters::LedgerWriters() {
  for (int i = 0; i < kWriters; ++i) {
    writers_.push_back(std::make_unique<LedgerWriter>("w" + std::to_string(i) + ":",
                                                      static_cast<uint64_t>(i) + 1));
  }
}

void LedgerWriters::Start(uint16_t port) {
  for (const auto& writer : writers_) {
    writer->Start(port);
  }
}

void LedgerWriters::Stop() {
  for (const auto& writer : writers_) {
    writer->Stop();
  }
}

uint64_t LedgerWriters::acknowledged() const {
  uint64_t sum = 0;
  for (const auto& writer : writers_) {
    sum += writer->acknowledged();
  }
  return sum;
}

std::string LedgerWriters::CheckAll(RespClient* client, int64_t* existing) {
  for (const auto& writer : writers_) {
    const std::vector<std::string> keys = writer->ledger()->Keys();
    std::string bytes;
    for (const std::string& key : keys) {
      bytes += EncodeWords({"get", key});
    }
    const auto frames = client->Pipeline(bytes, keys.size());
    if (!frames.ok()) {
      return frames.status().ToString();
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      const Result<Reply> reply = ParseReply((*frames)[i]);
      if (!reply.ok() || reply->is_error()) {
        return keys[i] + ": " + (*frames)[i];
      }
      const auto value = reply->is_null() ? std::nullopt : std::optional(reply->text);
      if (std::string error = writer->ledger()->Check(keys[i], value); !error.empty()) {
        return error;
      }
      writer->ledger()->Adopt(keys[i], value);
      *existing += value.has_value() ? 1 : 0;
    }
  }
  return "";
}

}  // namespace kvs
