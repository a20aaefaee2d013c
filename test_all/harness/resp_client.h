// RespClient: a blocking client that shows every byte, with a deadline on everything.
//
// Tests compare what servers really sent, so replies come as raw frames; Do() and Ask() parse them
// for those who care about content only.
//
// Threads: one owner.
// Owner:   the test.

#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/resp/reply_scanner.h"
#include "common/resp/reply_tree.h"

namespace kvs {

class RespClient {
 public:
  RespClient() = default;
  RespClient(RespClient&&) = default;
  RespClient& operator=(RespClient&&) = default;

  // Connects to host:port; numeric addresses and "localhost" only.
  static Result<RespClient> Connect(const std::string& host, uint16_t port,
                                    int64_t timeout_ms = 5000);
  static Result<RespClient> Connect(uint16_t port) { return Connect("127.0.0.1", port); }

  // How long each of the calls below may take, multiplied by kSlownessFactor.
  void set_timeout_ms(int64_t timeout_ms) { timeout_ms_ = timeout_ms; }
  bool connected() const { return fd_.valid(); }

  Status Send(std::string_view bytes);
  // Sends the end of the stream; replies can still be read.
  void FinishSending();
  // Returns the next whole reply as it was sent.
  //   kUnavailable: the server closed the connection; kTimeout; kCorruption: not RESP
  Result<std::string> ReadFrame();
  // Sends a request and returns its reply.
  Result<std::string> Exchange(std::span<const std::string_view> args);
  Result<Reply> Do(std::span<const std::string_view> args);
  Result<Reply> Do(std::initializer_list<std::string_view> args);
  Result<Reply> Do(const std::vector<std::string>& args);
  // Returns the reply on one line, or the failure in angle brackets: for assertions.
  std::string Ask(std::initializer_list<std::string_view> args);
  std::string Ask(const std::vector<std::string>& args);

  // Sends `bytes` in pieces of the sizes that `next_size` returns while it reads, so neither side's
  // buffers can jam, until `reply_count` replies are there.  The timeout is for a pause, not for
  // the whole.
  Result<std::vector<std::string>> Pipeline(std::string_view bytes, size_t reply_count,
                                            const std::function<size_t()>& next_size = {});

  // Returns what arrives until the server closes (`*closed` is true) or sends nothing for
  // `quiet_ms`.
  std::string ReadUntilQuiet(int64_t quiet_ms, bool* closed);
  // Returns `size` bytes, or fewer if the server closes or the deadline passes.
  std::string ReadBytes(size_t size);

 private:
  explicit RespClient(UniqueFd fd) : fd_(std::move(fd)) {}

  // Waits for `events` of poll() and returns what came; 0 after `timeout_ms`.
  short Poll(short events, int64_t timeout_ms);
  // Reads once.  Returns false if the connection is at its end.
  bool ReadSome();
  // Takes a whole reply from the input.  kIncomplete: there is none yet.
  Result<std::string> TakeFrame();
  Status SendPiece(std::string_view* rest, const std::function<size_t()>& next_size);
  Status Failed(Status status);

  UniqueFd fd_;
  int64_t timeout_ms_ = 10'000;
  std::string input_;
  size_t input_begin_ = 0;
  ReplyScanner scanner_;
};

// Returns a field of INFO that is a number; -1 if there is no such field.
int64_t InfoNumber(RespClient* client, std::string_view field);

// Encodes a request given as words.
std::string EncodeWords(const std::vector<std::string>& words);

}  // namespace kvs
