// HttpSession: one connection of an HttpServer.
//
// Requests are parsed as long as there is room for their answers; answers leave in the order of the
// requests, whenever handlers give them.
//
// Threads: loop-owned.
// Owner:   HttpServer; destroyed at the end of the turn in which it closes.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "common/base/unique_fd.h"
#include "common/http/http_parser.h"
#include "common/http/http_router.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"

namespace kvs {

class HttpServer;

class HttpSession : public IoHandler {
 public:
  HttpSession(HttpServer* server, UniqueFd fd);
  ~HttpSession() override;

  Status Start();
  void OnReady(bool readable, bool writable) override;
  // An exchange of this session is done.
  void OnAnswer();
  // Whether the client, and not a handler of ours, has let this session wait since before
  // `time_ms`.
  bool IsIdle(int64_t time_ms) const;
  void Close();

 private:
  bool HasRoom() const;
  void ReadInput();
  void Pump();
  bool ParseRequests();
  bool WriteAnswers();
  bool Flush();
  void StartExchange(HttpRequest request);
  void AnswerError(int status, std::string_view message);
  void Finish();
  void UpdateInterest();

  HttpServer* const server_;
  EventLoop* const loop_;
  UniqueFd fd_;
  const std::string peer_;
  IoWatch* watch_ = nullptr;
  ReadBuffer input_;
  HttpParser parser_;
  std::deque<std::shared_ptr<HttpExchange>> exchanges_;
  OutputQueue output_;
  int64_t progress_ms_ = 0;
  size_t drained_ = 0;
  bool pumping_ = false;
  bool eof_ = false;       // The client closed its side.
  bool closing_ = false;   // No more requests; closes when the answers are sent.
  bool broken_ = false;    // The stream held something that is no request.
  bool draining_ = false;  // Everything is sent; waits for the client to close.
  bool closed_ = false;
};

}  // namespace kvs
