#include "proxy/route/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/resp/error_text.h"
#include "common/resp/reply_token.h"
#include "common/resp/request_parser.h"
#include "common/resp/resp_convert.h"
#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

// Texts larger than this are given back when the exchange is recycled.
constexpr size_t kKeptText = 16 * 1024;
// Exchanges beyond so many are given back as well.
constexpr size_t kKeptExchanges = 4096;

// Reads the header of an aggregate and moves `*reply` behind it.  Returns false for anything else.
bool ReadArrayHeader(std::string_view* reply, uint64_t* count) {
  ReplyToken token;
  TokenProgress progress;
  if (ReadReplyToken(*reply, &token, &progress) != TokenOutcome::kToken || token.null ||
      !IsAggregate(token.type)) {
    return false;
  }
  *count = token.children;
  reply->remove_prefix(token.size);
  return true;
}

// Cuts the next element off `*elements`.  Returns an empty view if there is none.
std::string_view NextElement(std::string_view* elements) {
  ReplyScanner scanner;
  if (elements->empty() || scanner.Scan(*elements) != ReplyScanner::Outcome::kReply) {
    return {};
  }
  const std::string_view element = elements->substr(0, scanner.frame_size());
  elements->remove_prefix(element.size());
  return element;
}

// Returns the text of an error reply without '-' and line end.
std::string_view ErrorLine(std::string_view reply) {
  return TrimSpaces(reply.substr(1));
}

std::string FailureText(const CommandSpec& spec, const Status& status, bool sent) {
  std::string text = ErrorText(status);
  if (status.code() == Code::kTooLarge) {
    text += spec.is_write() ? "; the write has been applied" : "";
  } else if (sent && spec.is_write()) {
    text += "; the write may have been applied";
  }
  return text;
}

std::string WrongShape(const ExchangePart& part) {
  return fmt::format("ERR node {} sent a reply of the wrong shape", *part.node);
}

Status NoRoom(size_t bytes) {
  return Status::TooLarge(fmt::format(
      "a reply of {} bytes is dropped: session-memory-limit or buffer-memory-limit is reached",
      bytes));
}

bool IsRefusal(std::string_view error) {
  return error.starts_with("MOVED ") || error.starts_with("HELD ");
}

// A redirection is between a proxy and a node; a client only hears that it should try again.
std::string ForClient(std::string_view error) {
  if (IsRefusal(error) || error.starts_with("ASK ")) {
    return "TRYAGAIN " + std::string(kSlotChangesOwner);
  }
  return std::string(error);
}

}  // namespace

void Exchange::Convert(std::string_view reply, std::string* out) const {
  if (protocol_ == 2 && NeedsConversion(reply)) {
    ConvertReply3To2(reply, /*null_is_array=*/false, out);
  } else {
    out->append(reply);
  }
}

void Exchange::OnReply(uint32_t tag, const ReplyFrame& frame) {
  if (shape_ == Shape::kForward) {
    const char type = frame.type();
    failed_ = type == '-' || type == '!';
    if (owner_ == nullptr) {
      return Finish(true);
    }
    const std::string_view reply = frame.view();
    if (!owner_->Admit(reply.size())) {
      return OnFailure(tag, NoRoom(reply.size()), true);
    }
    if (type == '-' && IsRefused(tag, reply)) {
      failed_ = false;
      return;
    }
    executed_ = type != '-' || !IsRefusal(reply.substr(1));
    if (type == '-' && (!executed_ || reply.starts_with("-ASK "))) {
      text_ = "-" + ForClient(ErrorLine(reply)) + "\r\n";
    } else if (protocol_ == 2 && type != '$' && type != ':' && type != '+' && type != '-') {
      text_.clear();
      Convert(reply, &text_);
    } else if (OutputQueue* output = owner_->DirectOutput(this)) {
      if (reply.size() < kShareThreshold) {
        output->Append(reply);
      } else {
        output->Append(frame.Share());
      }
      return Finish(true);
    } else if (reply.size() < kShareThreshold) {
      text_.assign(reply);
    } else {
      plain_ = false;
      reply_ = frame.Share();
    }
    return Finish(false);
  }
  if (shape_ == Shape::kScan) {
    if (owner_ != nullptr && !owner_->Admit(frame.view().size())) {
      return OnFailure(tag, NoRoom(frame.view().size()), true);
    }
    executed_ = true;
    RewriteCursor(frame.view());
    return Finish(false);
  }
  if (frame.type() == '-' && IsRefused(tag, frame.view())) {
    return;
  }
  KeepPart(tag, frame);
  FinishPart();
}

bool Exchange::IsRefused(uint32_t part, std::string_view reply) {
  return may_be_refused_ && owner_ != nullptr && IsRefusal(reply.substr(1)) &&
         owner_->OnRefused(this, part, ErrorLine(reply));
}

void Exchange::KeepRequest(std::string_view frame, const ReadBuffer* source) {
  may_be_refused_ = true;
  if (!request(0).empty()) {
    return;  // Kept before, or by TakeSample().
  }
  if (frame.size() >= kShareThreshold && source != nullptr) {
    plain_ = false;
    large_request_ = source->Share(0, frame.size());
  } else {
    request_.assign(frame);
  }
}

// A small request is kept as it is: to copy it costs less than to look at its arguments.
void Exchange::TakeSample(CommandArgs args, std::string_view frame) {
  if (!frame.empty() && frame.size() < kShareThreshold) {
    request_.assign(frame);
  } else {
    plain_ = false;
    sample_.Take(*spec_, args);
  }
}

CommandSample Exchange::sample() const {
  if (request_.empty()) {
    return plain_ ? CommandSample() : sample_;
  }
  CommandSample sample;
  RequestParser parser;
  if (parser.Parse(request_) == RequestParser::Outcome::kRequest) {
    sample.Take(*spec_, parser.args());
  }
  return sample;
}

std::string_view Exchange::request(uint32_t part) const {
  if (plain_) {
    return request_;
  }
  if (!parts_.empty()) {
    return parts_[part].request;
  }
  return large_request_.size > 0 ? large_request_.view() : std::string_view(request_);
}

std::string Exchange::TakeRequest(uint32_t part) {
  if (!plain_ && !parts_.empty()) {
    return std::move(parts_[part].request);
  }
  return std::string(request(part));
}

void Exchange::KeepPart(uint32_t tag, const ReplyFrame& frame) {
  if (owner_ == nullptr) {
    return;
  }
  ExchangePart* const part = &parts_[tag];
  const size_t size = frame.view().size();
  size_t kept = 0;
  if (frame.type() == '-' || frame.type() == '!') {
    part->failure = ForClient(ErrorLine(frame.view()));
  } else if (!owner_->Admit(size)) {
    part->failure = FailureText(*spec_, NoRoom(size), true);
  } else {
    part->reply = frame.Share();
    kept = size;
  }
  part_bytes_ += kept;
  owner_->OnPart(this, tag, kept);
}

void Exchange::OnFailure(uint32_t tag, const Status& status, bool sent) {
  std::string text = FailureText(*spec_, status, sent);
  if (shape_ == Shape::kForward || shape_ == Shape::kScan) {
    text_ = "-" + text + "\r\n";
    failed_ = true;
    executed_ = sent;
    return Finish(false);
  }
  parts_[tag].failure = std::move(text);
  if (sent && owner_ != nullptr) {
    owner_->OnPart(this, tag, 0);
  }
  FinishPart();
}

void Exchange::FinishPart() {
  KVS_CHECK(parts_left_ > 0);
  if (--parts_left_ == 0) {
    Merge();
    parts_.clear();
    Finish(false);
  }
}

void Exchange::Answer(std::string reply) {
  text_ = std::move(reply);
  Finish(false);
}

void Exchange::Fail(const Status& status) {
  text_ = "-" + ErrorText(status) + "\r\n";
  failed_ = true;
  Finish(false);
}

void Exchange::Merge() {
  if (owner_ == nullptr) {
    return;
  }
  text_.clear();
  switch (shape_) {
    case Shape::kGather:
      return MergeGather();
    case Shape::kSum:
      return MergeSum();
    case Shape::kAllOk:
      return MergeAllOk();
    case Shape::kConcat:
      return MergeConcat();
    case Shape::kAnyOf:
      return MergeAnyOf();
    case Shape::kForward:
    case Shape::kScan:
      return;
  }
}

// The keys of one part keep their order, so a cursor in each part's reply is all that is needed.
void Exchange::MergeGather() {
  std::vector<std::string_view> elements(parts_.size());
  for (size_t i = 0; i < parts_.size(); ++i) {
    ExchangePart& part = parts_[i];
    std::string_view reply = part.reply.view();
    uint64_t count = 0;
    if (part.failure.empty() && (!ReadArrayHeader(&reply, &count) || count != part.key_count)) {
      part.failure = WrongShape(part);
    }
    elements[i] = reply;
  }
  RespWriter writer(protocol_, &text_);
  writer.Array(key_parts_.size());
  for (const uint32_t index : key_parts_) {
    const ExchangePart& part = parts_[index];
    if (!part.failure.empty()) {
      failed_ = true;
      writer.Error(part.failure);
      continue;
    }
    const std::string_view element = NextElement(&elements[index]);
    if (element.size() < kShareThreshold || element[0] != '$') {
      Convert(element, &text_);
      continue;
    }
    body_.Append(text_);
    text_.clear();
    body_.Append(Slice{part.reply.block, element.data(), element.size()});
  }
  if (!body_.empty()) {
    body_.Append(text_);
    text_.clear();
  }
}

bool Exchange::FailIfAnyPartFailed() {
  uint64_t keys = 0;
  uint64_t done = 0;
  const ExchangePart* first = nullptr;
  for (const ExchangePart& part : parts_) {
    keys += part.key_count;
    if (part.failure.empty()) {
      done += part.key_count;
    } else if (first == nullptr) {
      first = &part;
    }
  }
  if (first == nullptr) {
    return false;
  }
  failed_ = true;
  // A mistake of the client's reads as if there were one server.
  const bool all_alike = std::all_of(parts_.begin(), parts_.end(), [&](const ExchangePart& part) {
    return part.failure == first->failure;
  });
  if (keys == 0 && all_alike) {
    RespWriter(protocol_, &text_).Error(first->failure);
    return true;
  }
  std::string names;
  for (const ExchangePart& part : parts_) {
    if (!part.failure.empty()) {
      names += (names.empty() ? "" : ", ") + *part.node;
    }
  }
  if (keys > 0) {
    RespWriter(protocol_, &text_)
        .Error(fmt::format("{} ({} of {} keys done; failed at node {})", first->failure, done, keys,
                           names));
  } else {
    RespWriter(protocol_, &text_).Error(fmt::format("{} (at node {})", first->failure, names));
  }
  return true;
}

void Exchange::MergeSum() {
  int64_t sum = 0;
  for (ExchangePart& part : parts_) {
    ReplyToken token;
    TokenProgress progress;
    if (!part.failure.empty()) {
      continue;
    }
    if (ReadReplyToken(part.reply.view(), &token, &progress) != TokenOutcome::kToken ||
        token.type != ':' || __builtin_add_overflow(sum, token.integer, &sum)) {
      part.failure = WrongShape(part);
    }
  }
  if (!FailIfAnyPartFailed()) {
    RespWriter(protocol_, &text_).Integer(sum);
  }
}

void Exchange::MergeAllOk() {
  for (ExchangePart& part : parts_) {
    if (part.failure.empty() && part.reply.view() != kOkReply) {
      part.failure = WrongShape(part);
    }
  }
  if (!FailIfAnyPartFailed()) {
    text_.append(kOkReply);
  }
}

void Exchange::MergeConcat() {
  uint64_t total = 0;
  std::vector<std::string_view> bodies;
  for (ExchangePart& part : parts_) {
    std::string_view reply = part.reply.view();
    uint64_t count = 0;
    if (part.failure.empty() && !ReadArrayHeader(&reply, &count)) {
      part.failure = WrongShape(part);
    }
    total += count;
    bodies.push_back(reply);
  }
  if (FailIfAnyPartFailed()) {
    return;
  }
  RespWriter(protocol_, &text_).Array(total);
  for (const std::string_view body : bodies) {
    text_.append(body);  // Keys are bulk strings in both protocols.
  }
}

void Exchange::MergeAnyOf() {
  for (ExchangePart& part : parts_) {
    const std::string_view reply = part.reply.view();
    if (part.failure.empty() && !reply.starts_with('$') && !reply.starts_with('_')) {
      part.failure = WrongShape(part);
    }
  }
  if (FailIfAnyPartFailed()) {
    return;
  }
  std::vector<const ExchangePart*> found;
  for (const ExchangePart& part : parts_) {
    if (part.reply.view()[0] == '$' && !part.reply.view().starts_with("$-1")) {
      found.push_back(&part);
    }
  }
  if (found.empty()) {
    RespWriter(protocol_, &text_).Null();
  } else {
    text_.append(found[random_ % found.size()]->reply.view());
  }
}

// A node's cursor c on shard i of n becomes c * n + i; a shard that is through hands on to the
// next.
void Exchange::RewriteCursor(std::string_view reply) {
  text_.clear();
  failed_ = reply[0] == '-';
  if (failed_) {
    text_ = "-" + ForClient(ErrorLine(reply)) + "\r\n";
    return;
  }
  uint64_t count = 0;
  ReplyToken token;
  TokenProgress progress;
  uint64_t cursor = 0;
  std::string_view rest = reply;
  const bool shaped = ReadArrayHeader(&rest, &count) && count == 2 &&
                      ReadReplyToken(rest, &token, &progress) == TokenOutcome::kToken &&
                      token.type == '$' && ParseUint64(token.text, &cursor);
  uint64_t next = 0;
  bool fits = shaped;
  if (shaped && cursor != 0) {
    fits = !__builtin_mul_overflow(cursor, uint64_t{scan_shards_}, &next) &&
           !__builtin_add_overflow(next, uint64_t{scan_shard_}, &next);
  } else if (shaped) {
    next = scan_next_;
  }
  RespWriter writer(protocol_, &text_);
  if (!fits) {
    failed_ = true;
    writer.Error("ERR a node sent a SCAN reply of the wrong shape");
    return;
  }
  writer.Array(2);
  writer.Bulk(std::to_string(next));
  Convert(rest.substr(token.size), &text_);
}

void Exchange::Finish(bool written) {
  KVS_CHECK(!done_);
  done_ = true;
  if (owner_ != nullptr) {
    return owner_->OnDone(this, written);  // Which may recycle this exchange.
  }
  written_ = true;
  ReleaseIfUnused();
}

void Exchange::WriteTo(OutputQueue* output) {
  if (!plain_ && !body_.empty()) {
    output->Append(std::move(body_));
  } else if (!plain_ && reply_.size > 0) {
    output->Append(reply_);
  } else {
    output->Append(text_);
  }
}

void Exchange::Orphan() {
  owner_ = nullptr;
  written_ = true;
  ReleaseIfUnused();
}

void Exchange::ReleaseIfUnused() {
  if (done_ && written_) {
    pool_->Recycle(this);
  }
}

Exchange* ExchangePool::New(ExchangeOwner* owner, const CommandSpec* spec, int protocol,
                            int64_t now_micros) {
  if (free_.empty()) {
    free_.push_back(std::make_unique<Exchange>());
    free_.back()->pool_ = this;
  }
  Exchange* exchange = free_.back().release();
  free_.pop_back();
  ++in_use_;
  exchange->owner_ = owner;
  exchange->spec_ = spec;
  exchange->protocol_ = static_cast<uint8_t>(protocol);
  exchange->times_ = {now_micros, now_micros, now_micros, now_micros};
  exchange->set_link_wait({});
  exchange->shape_ = Exchange::Shape::kForward;
  exchange->done_ = exchange->failed_ = exchange->muted_ = exchange->written_ = false;
  exchange->started_ = exchange->guards_ = false;
  exchange->number_ = 0;
  exchange->request_size_ = 0;
  exchange->may_be_refused_ = exchange->executed_ = false;
  exchange->part_bytes_ = 0;
  return exchange;
}

void ExchangePool::Written(Exchange* exchange) {
  exchange->written_ = true;
  exchange->ReleaseIfUnused();
}

void ExchangePool::Recycle(Exchange* exchange) {
  --in_use_;
  if (free_.size() >= kKeptExchanges) {
    delete exchange;
    return;
  }
  if (!exchange->plain_) {
    exchange->plain_ = true;
    exchange->large_request_ = Slice();
    exchange->sample_.Clear();
    exchange->reply_ = Slice();
    exchange->body_.Clear();
    exchange->parts_.clear();
    exchange->key_parts_.clear();
    exchange->parts_left_ = 0;
  }
  if (exchange->text_.capacity() > kKeptText) {
    std::string().swap(exchange->text_);
  }
  exchange->text_.clear();
  if (exchange->request_.capacity() > kKeptText) {
    std::string().swap(exchange->request_);
  }
  exchange->request_.clear();
  exchange->owner_ = nullptr;
  free_.emplace_back(exchange);
}

}  // namespace kvs
