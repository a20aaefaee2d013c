#include "common/rdb/dump_payload.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/rdb/byte_reader.h"
#include "common/rdb/compact_lists.h"
#include "common/rdb/crc64.h"
#include "common/rdb/stream_nodes.h"

namespace kvs {
namespace {

constexpr size_t kFooterSize = 10;
constexpr uint16_t kWrittenVersion = 9;
constexpr uint16_t kStreamVersion = 10;   // Of what has streams,
constexpr uint16_t kLibraryVersion = 10;  // or libraries of functions.

constexpr uint8_t kLibrary = 245;

// The types of objects.
enum : uint8_t {
  kString = 0,
  kList = 1,
  kSet = 2,
  kZSetText = 3,  // Scores as texts.
  kHash = 4,
  kZSet = 5,
  kModule = 6,
  kModule2 = 7,
  kHashZipmap = 9,
  kListZiplist = 10,
  kSetIntset = 11,
  kZSetZiplist = 12,
  kHashZiplist = 13,
  kListQuicklist = 14,
  kStream1 = 15,
  kHashListpack = 16,
  kZSetListpack = 17,
  kListQuicklist2 = 18,
  kStream2 = 19,
  kSetListpack = 20,
  kStream3 = 21,
};

Status Malformed() {
  return Status::InvalidArgument("the object is malformed");
}

// Returns false if the bytes are not what was compressed to exactly `size` bytes.
bool Decompress(std::string_view bytes, size_t size, std::string* out) {
  ByteReader in(bytes);
  out->clear();
  while (in.left() > 0) {
    const uint8_t control = in.Byte();
    if (control < 32) {
      out->append(in.Take(control + size_t{1}));
    } else {
      size_t length = control >> 5;
      if (length == 7) {
        length += in.Byte();
      }
      const size_t distance = (static_cast<size_t>(control & 0x1f) << 8 | in.Byte()) + 1;
      length += 2;
      if (distance > out->size() || out->size() + length > size) {
        return false;
      }
      for (size_t i = 0; i < length; ++i) {  // It may overlap with what it makes.
        out->push_back((*out)[out->size() - distance]);
      }
    }
    if (!in.ok() || out->size() > size) {
      return false;
    }
  }
  return out->size() == size;
}

// The index of no consumer.
constexpr size_t kNobody = SIZE_MAX;

class ObjectReader {
 public:
  ObjectReader(std::string_view bytes, size_t max_bytes) : in_(bytes), room_(max_bytes) {}

  Result<RdbValue> Read();
  Result<std::vector<std::string>> ReadLibraries();

 private:
  Status Fail() { return too_large_ ? Status::TooLarge("the value is too large") : Malformed(); }
  // Reads a length, or (`*special`) how a string is encoded that is no plain one.
  uint64_t Length(bool* special);
  uint64_t PlainLength();
  std::string Text();
  double TextScore();
  double BinaryScore() { return std::bit_cast<double>(in_.Little(8)); }
  bool TakeRoom(uint64_t size);
  // One string that holds all elements.
  template <typename ReadList>
  void Compact(ReadList read_list, std::vector<std::string>* elements);
  void Elements(uint64_t per_entry);
  void Quicklist(bool has_containers);
  void ScoresOf(const std::vector<std::string>& pairs);
  void Scored(bool binary);
  RdbStreamId RawStreamId() {
    const uint64_t ms = in_.Big(8);
    return {ms, in_.Big(8)};
  }
  RdbStreamId StreamId() {
    const uint64_t ms = PlainLength();
    return {ms, PlainLength()};
  }
  bool going() const { return !malformed_ && !too_large_ && in_.ok(); }
  // Returns a count of things that take so many bytes each at least.
  uint64_t CountOf(size_t least_size);
  void Stream(uint8_t type);
  void StreamNode();
  void StreamGroup(uint8_t type);
  void StreamConsumer(uint8_t type, RdbStreamGroup* group);
  bool IsStreamWhole() const;
  void ReadObject(uint8_t type);
  bool IsWhole() const;

  ByteReader in_;
  size_t room_;
  bool malformed_ = false;
  bool too_large_ = false;
  bool unsupported_ = false;
  RdbValue value_;
};

bool ObjectReader::TakeRoom(uint64_t size) {
  if (size > room_) {
    too_large_ = true;
    return false;
  }
  room_ -= size;
  return true;
}

uint64_t ObjectReader::Length(bool* special) {
  const uint8_t first = in_.Byte();
  *special = false;
  switch (first >> 6) {
    case 0:
      return first & 0x3f;
    case 1:
      return static_cast<uint64_t>(first & 0x3f) << 8 | in_.Byte();
    case 2:
      if (first == 0x80) {
        return in_.Big(4);
      }
      if (first == 0x81) {
        return in_.Big(8);
      }
      malformed_ = true;
      return 0;
    default:
      *special = true;
      return first & 0x3f;
  }
}

uint64_t ObjectReader::PlainLength() {
  bool special = false;
  const uint64_t length = Length(&special);
  malformed_ |= special;
  return malformed_ ? 0 : length;
}

std::string ObjectReader::Text() {
  bool special = false;
  const uint64_t length = Length(&special);
  if (!special) {
    const std::string_view text = in_.Take(length);
    return TakeRoom(text.size() + sizeof(std::string)) ? std::string(text) : std::string();
  }
  if (length <= 2) {
    const std::string number = std::to_string(in_.Signed(size_t{1} << length));
    return TakeRoom(sizeof(std::string)) ? number : std::string();
  }
  malformed_ |= length != 3;
  const uint64_t compressed = malformed_ ? 0 : PlainLength();
  const uint64_t size = malformed_ ? 0 : PlainLength();
  std::string text;
  if (malformed_ || !TakeRoom(std::max(size, size + sizeof(std::string)))) {
    return text;
  }
  malformed_ |= !Decompress(in_.Take(compressed), size, &text);
  return text;
}

double ObjectReader::TextScore() {
  const uint8_t size = in_.Byte();
  switch (size) {
    case 253:
      return std::numeric_limits<double>::quiet_NaN();
    case 254:
      return std::numeric_limits<double>::infinity();
    case 255:
      return -std::numeric_limits<double>::infinity();
    default: {
      double score = 0;
      malformed_ |= !ParseDouble(in_.Take(size), &score);
      return score;
    }
  }
}

template <typename ReadList>
void ObjectReader::Compact(ReadList read_list, std::vector<std::string>* elements) {
  const std::string bytes = Text();
  const size_t before = elements->size();
  const Status status = read_list(bytes, room_ / sizeof(std::string), elements);
  too_large_ |= status.code() == Code::kTooLarge;
  malformed_ |= !in_.ok() || !status.ok();
  (void)TakeRoom((elements->size() - before) * sizeof(std::string));
}

// Each takes a byte at least, so a forged count ends with the bytes.
void ObjectReader::Elements(uint64_t per_entry) {
  const uint64_t count = PlainLength();
  malformed_ |= count > in_.left();
  for (uint64_t i = 0; i < count * per_entry && !malformed_ && !too_large_ && in_.ok(); ++i) {
    value_.elements.push_back(Text());
  }
}

void ObjectReader::Quicklist(bool has_containers) {
  constexpr uint64_t kPlain = 1;
  constexpr uint64_t kPacked = 2;
  const uint64_t count = PlainLength();
  for (uint64_t i = 0; i < count && !malformed_ && !too_large_ && in_.ok(); ++i) {
    const uint64_t container = has_containers ? PlainLength() : kPacked;
    if (container == kPlain) {
      value_.elements.push_back(Text());
    } else if (container == kPacked) {
      Compact(has_containers ? &ReadListpack : &ReadZiplist, &value_.elements);
    } else {
      malformed_ = true;
    }
  }
}

void ObjectReader::ScoresOf(const std::vector<std::string>& pairs) {
  malformed_ |= pairs.size() % 2 != 0;
  for (size_t i = 0; i + 1 < pairs.size() && !malformed_; i += 2) {
    double score = 0;
    malformed_ |= !ParseDouble(pairs[i + 1], &score);
    value_.scored.emplace_back(pairs[i], score);
  }
}

void ObjectReader::Scored(bool binary) {
  const uint64_t count = PlainLength();
  for (uint64_t i = 0; i < count && !malformed_ && !too_large_ && in_.ok(); ++i) {
    std::string member = Text();
    value_.scored.emplace_back(std::move(member), binary ? BinaryScore() : TextScore());
  }
}

uint64_t ObjectReader::CountOf(size_t least_size) {
  const uint64_t count = PlainLength();
  malformed_ |= count > in_.left() / least_size;
  return malformed_ ? 0 : count;
}

void ObjectReader::StreamNode() {
  const std::string id = Text();
  std::vector<std::string> elements;
  Compact(&ReadListpack, &elements);
  malformed_ |= id.size() != kStreamNodeIdSize;
  if (!going()) {
    return;
  }
  ByteReader in(id);
  const uint64_t ms = in.Big(8);
  const Status status = ReadStreamNode({ms, in.Big(8)}, elements, &room_, &value_.stream.entries);
  too_large_ |= status.code() == Code::kTooLarge;
  malformed_ |= !status.ok();
}

// What a group has read that is at `id`, of a stream that has lost nothing but at its beginning, as
// those of releases that did not count.
int64_t EntriesRead(const RdbStream& stream, RdbStreamId id) {
  if (stream.entries.empty()) {
    return 0;
  }
  if (id >= stream.last_id) {
    return id > stream.last_id ? -1 : static_cast<int64_t>(stream.entries_added);
  }
  const RdbStreamId first = stream.entries.front().id;
  return id < first ? 0 : id == first ? 1 : -1;
}

void ObjectReader::StreamConsumer(uint8_t type, RdbStreamGroup* group) {
  const size_t index = group->consumers.size();
  RdbStreamConsumer consumer;
  consumer.name = Text();
  consumer.seen_ms = in_.Signed(8);
  consumer.active_ms = type == kStream3 ? in_.Signed(8) : consumer.seen_ms;
  group->consumers.push_back(std::move(consumer));
  const uint64_t count = CountOf(kStreamNodeIdSize);
  for (uint64_t i = 0; i < count && going(); ++i) {
    const RdbStreamId id = RawStreamId();
    const auto pending = std::lower_bound(
        group->pending.begin(), group->pending.end(), id,
        [](const RdbStreamPending& one, RdbStreamId other) { return one.id < other; });
    if (pending == group->pending.end() || pending->id != id || pending->consumer != kNobody) {
      malformed_ = true;
      return;
    }
    pending->consumer = index;
  }
}

void ObjectReader::StreamGroup(uint8_t type) {
  RdbStreamGroup group;
  group.name = Text();
  group.last_id = StreamId();
  group.entries_read = type == kStream1 ? EntriesRead(value_.stream, group.last_id)
                                        : static_cast<int64_t>(PlainLength());
  malformed_ |= group.entries_read < -1;
  const uint64_t pending_count = CountOf(kStreamNodeIdSize + 9);
  for (uint64_t i = 0; i < pending_count && going(); ++i) {
    RdbStreamPending pending{.id = RawStreamId(), .consumer = kNobody};
    pending.delivered_ms = in_.Signed(8);
    pending.deliveries = PlainLength();
    malformed_ |= !group.pending.empty() && pending.id <= group.pending.back().id;
    group.pending.push_back(pending);
    (void)TakeRoom(sizeof(pending));
  }
  const uint64_t consumer_count = CountOf(1 + 8 + 1);
  for (uint64_t i = 0; i < consumer_count && going(); ++i) {
    (void)TakeRoom(sizeof(RdbStreamConsumer));
    StreamConsumer(type, &group);
  }
  value_.stream.groups.push_back(std::move(group));
}

void ObjectReader::Stream(uint8_t type) {
  RdbStream* const stream = &value_.stream;
  const uint64_t node_count = CountOf(1 + kStreamNodeIdSize);
  for (uint64_t i = 0; i < node_count && going(); ++i) {
    StreamNode();
  }
  malformed_ |= PlainLength() != stream->entries.size();
  stream->last_id = StreamId();
  stream->entries_added = stream->entries.size();
  if (type != kStream1) {
    (void)StreamId();  // The first one's, which is known.
    stream->max_deleted_id = StreamId();
    stream->entries_added = PlainLength();
  }
  const uint64_t group_count = CountOf(1 + 2 + 2);
  for (uint64_t i = 0; i < group_count && going(); ++i) {
    (void)TakeRoom(sizeof(RdbStreamGroup));
    StreamGroup(type);
  }
}

bool ObjectReader::IsStreamWhole() const {
  const RdbStream& stream = value_.stream;
  RdbStreamId last;
  for (const RdbStreamEntry& entry : stream.entries) {
    if (entry.id <= last) {
      return false;
    }
    last = entry.id;
  }
  std::set<std::string_view> names;
  for (const RdbStreamGroup& group : stream.groups) {
    std::set<std::string_view> consumers;
    for (const RdbStreamConsumer& consumer : group.consumers) {
      if (!consumers.insert(consumer.name).second) {
        return false;
      }
    }
    if (!names.insert(group.name).second ||
        std::any_of(group.pending.begin(), group.pending.end(),
                    [](const RdbStreamPending& one) { return one.consumer == kNobody; })) {
      return false;
    }
  }
  return last <= stream.last_id;
}

void ObjectReader::ReadObject(uint8_t type) {
  using Type = RdbValue::Type;
  std::vector<std::string> pairs;
  switch (type) {
    case kString:
      value_.text = Text();
      return;
    case kList:
      value_.type = Type::kList;
      return Elements(1);
    case kListZiplist:
      value_.type = Type::kList;
      return Compact(&ReadZiplist, &value_.elements);
    case kListQuicklist:
    case kListQuicklist2:
      value_.type = Type::kList;
      return Quicklist(type == kListQuicklist2);
    case kSet:
      value_.type = Type::kSet;
      return Elements(1);
    case kSetIntset:
      value_.type = Type::kSet;
      return Compact(&ReadIntset, &value_.elements);
    case kSetListpack:
      value_.type = Type::kSet;
      return Compact(&ReadListpack, &value_.elements);
    case kHash:
      value_.type = Type::kHash;
      return Elements(2);
    case kHashZipmap:
      value_.type = Type::kHash;
      return Compact(&ReadZipmap, &value_.elements);
    case kHashZiplist:
      value_.type = Type::kHash;
      return Compact(&ReadZiplist, &value_.elements);
    case kHashListpack:
      value_.type = Type::kHash;
      return Compact(&ReadListpack, &value_.elements);
    case kZSetText:
    case kZSet:
      value_.type = Type::kZSet;
      return Scored(type == kZSet);
    case kZSetZiplist:
    case kZSetListpack:
      value_.type = Type::kZSet;
      type == kZSetZiplist ? Compact(&ReadZiplist, &pairs) : Compact(&ReadListpack, &pairs);
      return ScoresOf(pairs);
    case kStream1:
    case kStream2:
    case kStream3:
      value_.type = Type::kStream;
      return Stream(type);
    default:
      unsupported_ = type == kModule || type == kModule2;
      malformed_ = !unsupported_;
  }
}

bool ObjectReader::IsWhole() const {
  std::set<std::string_view> seen;
  if (value_.type == RdbValue::Type::kZSet) {
    for (const auto& [member, score] : value_.scored) {
      if (std::isnan(score) || !seen.insert(member).second) {
        return false;
      }
    }
    return !value_.scored.empty();
  }
  if (value_.type == RdbValue::Type::kStream) {
    return IsStreamWhole();
  }
  const size_t step = value_.type == RdbValue::Type::kHash ? 2 : 1;
  if (value_.type == RdbValue::Type::kString || value_.type == RdbValue::Type::kList) {
    return value_.type == RdbValue::Type::kString || !value_.elements.empty();
  }
  if (value_.elements.size() % step != 0) {
    return false;
  }
  for (size_t i = 0; i < value_.elements.size(); i += step) {
    if (!seen.insert(value_.elements[i]).second) {
      return false;
    }
  }
  return !value_.elements.empty();
}

Result<RdbValue> ObjectReader::Read() {
  ReadObject(in_.Byte());
  if (unsupported_) {
    return Status::Unsupported("values of modules are not read");
  }
  if (malformed_ || too_large_ || !in_.ok() || in_.left() > 0 || !IsWhole()) {
    return Fail();
  }
  return std::move(value_);
}

Result<std::vector<std::string>> ObjectReader::ReadLibraries() {
  std::vector<std::string> texts;
  while (in_.left() > 0) {
    if (in_.Byte() != kLibrary) {
      return Status::InvalidArgument("given type is not a function");
    }
    texts.push_back(Text());
    if (too_large_) {
      return Status::TooLarge("the libraries are too large");
    }
    if (!going()) {
      return Status::InvalidArgument("Failed loading library payload");
    }
  }
  return texts;
}

void AppendLittle(uint64_t value, size_t size, std::string* out) {
  for (size_t i = 0; i < size; ++i) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

void AppendBig(uint64_t value, size_t size, std::string* out) {
  for (size_t i = size; i-- > 0;) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

// Whether version and checksum are right of what may be nothing else.
bool IsFooterRight(std::string_view payload) {
  if (payload.size() < kFooterSize) {
    return false;
  }
  ByteReader footer(payload.substr(payload.size() - kFooterSize));
  const uint64_t version = footer.Little(2);
  const uint64_t crc = footer.Little(8);
  return version <= kRdbVersion &&
         crc == Crc64(payload.substr(0, payload.size() - sizeof(uint64_t)));
}

}  // namespace

bool CheckDumpFooter(std::string_view payload) {
  return payload.size() > kFooterSize && IsFooterRight(payload);
}

Result<std::vector<std::string>> ReadFunctionDump(std::string_view payload, size_t max_bytes) {
  if (!IsFooterRight(payload)) {
    return Status::InvalidArgument("DUMP payload version or checksum are wrong");
  }
  return ObjectReader(payload.substr(0, payload.size() - kFooterSize), max_bytes).ReadLibraries();
}

Result<RdbValue> ReadDump(std::string_view payload, size_t max_bytes) {
  if (payload.size() <= kFooterSize) {
    return Malformed();
  }
  return ObjectReader(payload.substr(0, payload.size() - kFooterSize), max_bytes).Read();
}

DumpWriter::DumpWriter(std::string* out)
    : out_(out), start_(out->size()), version_(kWrittenVersion) {}

DumpWriter DumpWriter::OfLibraries(std::string* out) {
  DumpWriter writer(out);
  writer.version_ = kLibraryVersion;
  return writer;
}

void DumpWriter::Length(uint64_t length) {
  if (length < 1 << 6) {
    out_->push_back(static_cast<char>(length));
  } else if (length < 1 << 14) {
    AppendBig(length | 1 << 14, 2, out_);
  } else if (length <= UINT32_MAX) {
    out_->push_back(static_cast<char>(0x80));
    AppendBig(length, 4, out_);
  } else {
    out_->push_back(static_cast<char>(0x81));
    AppendBig(length, 8, out_);
  }
}

void DumpWriter::Element(std::string_view element) {
  Length(element.size());
  out_->append(element);
}

void DumpWriter::String(std::string_view text) {
  out_->push_back(static_cast<char>(kString));
  Element(text);
}

void DumpWriter::Collection(RdbValue::Type type, uint64_t count) {
  uint8_t code = kList;
  switch (type) {
    case RdbValue::Type::kString:
    case RdbValue::Type::kList:
    case RdbValue::Type::kStream:  // See Stream().
      break;
    case RdbValue::Type::kSet:
      code = kSet;
      break;
    case RdbValue::Type::kHash:
      code = kHash;
      break;
    case RdbValue::Type::kZSet:
      code = kZSet;
      break;
  }
  out_->push_back(static_cast<char>(code));
  Length(count);
}

void DumpWriter::Scored(std::string_view member, double score) {
  Element(member);
  AppendLittle(std::bit_cast<uint64_t>(score), 8, out_);
}

void DumpWriter::StreamId(RdbStreamId id) {
  Length(id.ms);
  Length(id.seq);
}

void DumpWriter::StreamGroup(const RdbStreamGroup& group) {
  Element(group.name);
  StreamId(group.last_id);
  Length(static_cast<uint64_t>(group.entries_read));
  std::vector<std::vector<RdbStreamId>> pending(group.consumers.size());
  const auto raw_id = [this](RdbStreamId id) {
    AppendBig(id.ms, 8, out_);
    AppendBig(id.seq, 8, out_);
  };
  Length(group.pending.size());
  for (const RdbStreamPending& one : group.pending) {
    raw_id(one.id);
    AppendLittle(static_cast<uint64_t>(one.delivered_ms), 8, out_);
    Length(one.deliveries);
    pending[one.consumer].push_back(one.id);
  }
  Length(group.consumers.size());
  for (size_t i = 0; i < group.consumers.size(); ++i) {
    Element(group.consumers[i].name);
    AppendLittle(static_cast<uint64_t>(group.consumers[i].seen_ms), 8, out_);
    Length(pending[i].size());
    for (const RdbStreamId id : pending[i]) {
      raw_id(id);
    }
  }
}

void DumpWriter::Stream(const RdbStream& stream) {
  version_ = kStreamVersion;
  out_->push_back(static_cast<char>(kStream2));
  StreamNodeWriter node_writer;
  for (const RdbStreamEntry& entry : stream.entries) {
    node_writer.Add(entry);
  }
  const std::vector<StreamNodeWriter::Node> nodes = node_writer.Take();
  Length(nodes.size());
  for (const StreamNodeWriter::Node& node : nodes) {
    Length(kStreamNodeIdSize);
    AppendBig(node.id.ms, 8, out_);
    AppendBig(node.id.seq, 8, out_);
    Element(node.listpack);
  }
  Length(stream.entries.size());
  StreamId(stream.last_id);
  StreamId(stream.entries.empty() ? RdbStreamId() : stream.entries.front().id);
  StreamId(stream.max_deleted_id);
  Length(stream.entries_added);
  Length(stream.groups.size());
  for (const RdbStreamGroup& group : stream.groups) {
    StreamGroup(group);
  }
}

void DumpWriter::Library(std::string_view text) {
  out_->push_back(static_cast<char>(kLibrary));
  Element(text);
}

void DumpWriter::Finish() {
  AppendLittle(version_, 2, out_);
  AppendLittle(Crc64(std::string_view(*out_).substr(start_)), 8, out_);
}

}  // namespace kvs
