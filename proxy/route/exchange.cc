#include "proxy/route/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
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
    text += spec.may_write() ? "; the write has been applied" : "";
  } else if (sent && spec.may_write()) {
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
  ConvertAs(FormFor(spec_->resp2, has_option_), reply, out);
}

void Exchange::ConvertAs(Resp2Form form, std::string_view reply, std::string* out) const {
  if (protocol_ == 2 && (form == Resp2Form::kFlatPairs || NeedsConversion(reply))) {
    ConvertReply3To2(reply, form, out);
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
    replied_ = true;
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
  if (shape_ == Shape::kTransaction) {
    return OnTransactionReply(tag, frame);
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

// Only the reply of EXEC counts; but if it says that a command was not queued, then that one's
// reply says why.
void Exchange::OnTransactionReply(uint32_t tag, const ReplyFrame& frame) {
  const std::string_view reply = frame.view();
  if (tag != LastTag()) {
    if (reply[0] == '-' && refusal_.empty()) {
      refusal_ = ErrorLine(reply);
    }
    return;
  }
  if (owner_ != nullptr && !owner_->Admit(reply.size())) {
    return OnFailure(tag, NoRoom(reply.size()), true);
  }
  // A node that has lost the slot since then refuses EXEC itself.
  const std::string error = reply[0] == '-' ? std::string(ErrorLine(reply)) : "";
  const std::string why = IsRefusal(error) ? error : refusal_;
  refusal_.clear();
  if (!error.empty() && IsRefusal(why)) {
    if (may_be_refused_ && owner_ != nullptr && owner_->OnRefused(this, 0, why)) {
      return;
    }
    text_ = "-" + ForClient(why) + "\r\n";
    failed_ = true;
    return Finish(false);
  }
  executed_ = true;
  MergeTransaction(reply);
  Finish(false);
}

void Exchange::MergeTransaction(std::string_view reply) {
  text_.clear();
  uint64_t count = 0;
  std::string_view elements = reply;
  RespWriter writer(protocol_, &text_);
  if (reply[0] == '-') {
    failed_ = true;
    text_.append(reply);
  } else if (reply[0] == '_' || reply.starts_with("*-1")) {
    writer.NullArray();
  } else if (!ReadArrayHeader(&elements, &count) || count + 2 != requests_in_block_) {
    failed_ = true;
    writer.Error("ERR a node sent an EXEC reply of the wrong shape");
  } else {
    writer.Array(steps_.size());
    for (const TransactionStep& step : steps_) {
      if (!step.local.empty()) {
        text_.append(step.local);
      } else {
        ConvertAs(step.form, NextElement(&elements), &text_);
      }
    }
  }
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
  } else if (shape_ == Shape::kAllOk && frame.view() == kOkReply) {
    part->ok = true;
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
  if (shape_ == Shape::kTransaction && tag != LastTag()) {
    return;
  }
  std::string text = FailureText(*spec_, status, sent);
  if (shape_ == Shape::kTransaction && sent) {
    text += "; the transaction may have been executed";
  }
  if (shape_ == Shape::kForward || shape_ == Shape::kScan || shape_ == Shape::kTransaction) {
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

void Exchange::AnswerSteps() {
  requests_in_block_ = 2;
  MergeTransaction(kEmptyArrayReply);
  Finish(false);
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
    case Shape::kMax:
      return MergeMax();
    case Shape::kMinEach:
      return MergeMinEach();
    case Shape::kAnyOk:
      return MergeAnyOk();
    case Shape::kSame:
      return MergeSame();
    case Shape::kLongest:
      return MergeLongest();
    case Shape::kUnion:
      return MergeUnion();
    case Shape::kSumPairs:
      return MergeSumPairs();
    case Shape::kConcat:
      return MergeConcat();
    case Shape::kAnyOf:
      return MergeAnyOf();
    case Shape::kJoin:
      return MergeJoin();
    case Shape::kForward:
    case Shape::kScan:
    case Shape::kTransaction:
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
  size_t nodes_done = parts_.size();
  for (const ExchangePart& part : parts_) {
    if (!part.failure.empty()) {
      names += (names.empty() ? "" : ", ") + *part.node;
      --nodes_done;
    }
  }
  if (keys > 0) {
    RespWriter(protocol_, &text_)
        .Error(fmt::format("{} ({} of {} keys done; failed at node {})", first->failure, done, keys,
                           names));
  } else if (spec_->is_write() && spec_->group == Group::kScripting) {
    RespWriter(protocol_, &text_)
        .Error(fmt::format("{} (at node {}; {} of {} nodes have done it)", first->failure, names,
                           nodes_done, parts_.size()));
  } else if (spec_->is_write()) {
    RespWriter(protocol_, &text_)
        .Error(fmt::format("{} (at node {}; {} of {} nodes have done it, and it may be sent again)",
                           first->failure, names, nodes_done, parts_.size()));
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
    if (part.failure.empty() && !part.ok) {
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

// Reads the reply of each part.  Returns nothing, and has answered, if one has failed or is not of
// the type.
std::vector<Reply> Exchange::ReadParts(Reply::Type type) {
  std::vector<Reply> replies;
  for (ExchangePart& part : parts_) {
    if (!part.failure.empty()) {
      continue;
    }
    Result<Reply> reply = ParseReply(part.reply.view());
    if (reply.ok() && reply->type == type) {
      replies.push_back(*std::move(reply));
    } else {
      part.failure = WrongShape(part);
    }
  }
  return FailIfAnyPartFailed() ? std::vector<Reply>() : replies;
}

void Exchange::MergeMax() {
  const std::vector<Reply> replies = ReadParts(Reply::Type::kInteger);
  if (!replies.empty()) {
    const auto largest =
        std::max_element(replies.begin(), replies.end(),
                         [](const Reply& a, const Reply& b) { return a.integer < b.integer; });
    RespWriter(protocol_, &text_).Integer(largest->integer);
  }
}

void Exchange::MergeMinEach() {
  std::vector<Reply> replies = ReadParts(Reply::Type::kArray);
  if (replies.empty()) {
    return;
  }
  std::vector<Reply>& least = replies.front().elements;
  RespWriter writer(protocol_, &text_);
  writer.Array(least.size());
  for (size_t i = 0; i < least.size(); ++i) {
    for (const Reply& reply : replies) {
      least[i].integer =
          std::min(least[i].integer, i < reply.elements.size() ? reply.elements[i].integer : 0);
    }
    writer.Integer(least[i].integer);
  }
}

// One that has nothing to do says so by an error, as in Redis.
void Exchange::MergeAnyOk() {
  for (const ExchangePart& part : parts_) {
    if (part.failure.empty() && part.reply.view() == kOkReply) {
      text_ = kOkReply;
      return;
    }
  }
  (void)FailIfAnyPartFailed();
}

void Exchange::MergeSame() {
  if (!FailIfAnyPartFailed()) {
    Convert(parts_.front().reply.view(), &text_);
  }
}

void Exchange::MergeLongest() {
  if (!FailIfAnyPartFailed()) {
    const auto longest = std::max_element(
        parts_.begin(), parts_.end(),
        [](const ExchangePart& a, const ExchangePart& b) { return a.reply.size < b.reply.size; });
    Convert(longest->reply.view(), &text_);
  }
}

void Exchange::MergeUnion() {
  const std::vector<Reply> replies = ReadParts(Reply::Type::kArray);
  if (replies.empty()) {
    return;
  }
  std::set<std::string_view> all;
  for (const Reply& reply : replies) {
    for (const Reply& element : reply.elements) {
      all.insert(element.text);
    }
  }
  RespWriter writer(protocol_, &text_);
  writer.Array(all.size());
  for (const std::string_view one : all) {
    writer.Bulk(one);
  }
}

void Exchange::MergeSumPairs() {
  std::vector<Reply> replies = ReadParts(Reply::Type::kArray);
  if (replies.empty()) {
    return;
  }
  std::vector<Reply>& sums = replies.front().elements;
  RespWriter writer(protocol_, &text_);
  writer.Array(sums.size());
  for (size_t i = 0; i < sums.size(); ++i) {
    if (i % 2 == 0) {
      writer.Bulk(sums[i].text);
      continue;
    }
    for (size_t part = 1; part < replies.size(); ++part) {
      const std::vector<Reply>& more = replies[part].elements;
      sums[i].integer += i < more.size() ? more[i].integer : 0;
    }
    writer.Integer(sums[i].integer);
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

bool Exchange::FailJoin() {
  size_t members = 0;
  size_t bytes = 0;
  for (ExchangePart& part : parts_) {
    std::string_view reply = part.reply.view();
    uint64_t count = 0;
    const bool is_list = join_->operation != JoinOperation::kDistinct;
    if (part.failure.empty() && is_list && !ReadArrayHeader(&reply, &count)) {
      part.failure = WrongShape(part);
    }
    // A mistake of the client's reads as if there were one server.
    if (part.failure.starts_with("WRONGTYPE ")) {
      failed_ = true;
      RespWriter(protocol_, &text_).Error(part.failure);
      return true;
    }
    members += count;
    bytes += part.reply.size;
  }
  if (FailIfAnyPartFailed()) {
    return true;
  }
  const size_t memory = members * kJoinMemoryPerMember + (join_->counts ? 0 : bytes);
  if (owner_->Admit(memory)) {
    return false;
  }
  failed_ = true;
  RespWriter(protocol_, &text_)
      .Error(Status::TooLarge(fmt::format(
          "the keys live on several nodes and are too large to be joined by the proxy: it would "
          "need {} bytes, and session-memory-limit or buffer-memory-limit is reached",
          memory)));
  return true;
}

void Exchange::MergeJoin() {
  if (FailJoin()) {
    return;
  }
  RespWriter writer(protocol_, &text_);
  if (join_->operation == JoinOperation::kDistinct) {
    std::vector<std::string_view> replies;
    for (const ExchangePart& part : parts_) {
      replies.push_back(part.reply.view());
    }
    CountDistinct(replies, &writer);
    failed_ = text_.starts_with('-');
    return;
  }
  std::vector<JoinInput> inputs;
  for (ExchangePart& part : parts_) {
    Result<JoinInput> input = JoinInput::Parse(*join_, part.reply.view());
    if (!input.ok()) {
      part.failure = WrongShape(part);
      FailIfAnyPartFailed();
      return;
    }
    inputs.push_back(*std::move(input));
  }
  std::vector<const JoinInput*> of_keys;
  for (const uint32_t part : key_parts_) {
    of_keys.push_back(&inputs[part]);
  }
  JoinInputs(*join_, of_keys, &writer);
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
  exchange->has_option_ = false;
  exchange->number_ = 0;
  exchange->request_size_ = 0;
  exchange->may_be_refused_ = exchange->executed_ = exchange->replied_ = false;
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
    exchange->steps_.clear();
    exchange->refusal_.clear();
    exchange->join_.reset();
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
