#include "common/rdb/compact_lists.h"

#include <algorithm>
#include <cstdint>

#include "common/base/strings.h"
#include "common/rdb/byte_reader.h"

namespace kvs {
namespace {

constexpr uint8_t kEnd = 0xff;

Status Malformed(const char* what) {
  return Status::InvalidArgument(what);
}

Status TooMany() {
  return Status::TooLarge("a list has too many elements");
}

// Two may come at once.
Status CheckRoom(const std::vector<std::string>& elements, size_t end) {
  return elements.size() + 2 > end ? TooMany() : Status::Ok();
}

// Of an entry of so many bytes.  Redis takes one more already for the largest of each size.
size_t BacklenSize(size_t entry_size) {
  return entry_size <= 127        ? 1
         : entry_size < 16383     ? 2
         : entry_size < 2097151   ? 3
         : entry_size < 268435455 ? 4
                                  : 5;
}

void AppendLittle(uint64_t value, size_t size, std::string* out) {
  for (size_t i = 0; i < size; ++i) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

// Appends how long the entry before was, to be read from its end.
void AppendBacklen(size_t entry_size, std::string* out) {
  for (size_t left = BacklenSize(entry_size); left-- > 0;) {
    const size_t part = entry_size >> (7 * left) & 0x7f;
    const bool is_first = left + 1 == BacklenSize(entry_size);
    out->push_back(static_cast<char>(is_first ? part : part | 0x80));
  }
}

// Reads one entry of a listpack, without what stands behind it.
std::string ReadListpackEntry(ByteReader* in) {
  const uint8_t first = in->Byte();
  if ((first & 0x80) == 0) {
    return std::to_string(first);
  }
  if ((first & 0xc0) == 0x80) {
    return std::string(in->Take(first & 0x3f));
  }
  if ((first & 0xe0) == 0xc0) {
    const int value = (first & 0x1f) << 8 | in->Byte();
    return std::to_string(value >= 1 << 12 ? value - (1 << 13) : value);
  }
  if ((first & 0xf0) == 0xe0) {
    const size_t size = static_cast<size_t>(first & 0x0f) << 8 | in->Byte();
    return std::string(in->Take(size));
  }
  switch (first) {
    case 0xf0:
      return std::string(in->Take(in->Little(4)));
    case 0xf1:
      return std::to_string(in->Signed(2));
    case 0xf2:
      return std::to_string(in->Signed(3));
    case 0xf3:
      return std::to_string(in->Signed(4));
    case 0xf4:
      return std::to_string(in->Signed(8));
    default:
      (void)in->Take(SIZE_MAX);  // There is no such entry.
      return {};
  }
}

// Reads one entry of a ziplist, without what stands before it.
std::string ReadZiplistEntry(ByteReader* in) {
  const uint8_t first = in->Byte();
  switch (first >> 6) {
    case 0:
      return std::string(in->Take(first & 0x3f));
    case 1: {
      const size_t size = static_cast<size_t>(first & 0x3f) << 8 | in->Byte();
      return std::string(in->Take(size));
    }
    case 2:
      return std::string(in->Take(in->Big(4)));
    default:
      break;
  }
  switch (first) {
    case 0xc0:
      return std::to_string(in->Signed(2));
    case 0xd0:
      return std::to_string(in->Signed(4));
    case 0xe0:
      return std::to_string(in->Signed(8));
    case 0xf0:
      return std::to_string(in->Signed(3));
    case 0xfe:
      return std::to_string(in->Signed(1));
    default:
      if (first >= 0xf1 && first <= 0xfd) {
        return std::to_string(first - 0xf1);
      }
      (void)in->Take(SIZE_MAX);  // There is no such entry.
      return {};
  }
}

}  // namespace

Status ReadListpack(std::string_view bytes, size_t max_elements,
                    std::vector<std::string>* elements) {
  const size_t end = elements->size() + max_elements;
  ByteReader in(bytes);
  const uint64_t size = in.Little(4);
  (void)in.Little(2);  // How many; 65535 says nothing.
  while (in.ok() && in.Peek() != kEnd) {
    KVS_RETURN_IF_ERROR(CheckRoom(*elements, end));
    const size_t before = in.left();
    elements->push_back(ReadListpackEntry(&in));
    (void)in.Take(BacklenSize(before - in.left()));
  }
  const bool ends = in.Byte() == kEnd;
  return in.ok() && ends && in.left() == 0 && size == bytes.size()
             ? Status::Ok()
             : Malformed("a listpack is malformed");
}

void ListpackWriter::Integer(int64_t value) {
  const size_t before = body_.size();
  const auto bits = static_cast<uint64_t>(value);
  const auto tagged = [this, bits](int tag, size_t size) {
    body_.push_back(static_cast<char>(tag));
    AppendLittle(bits, size, &body_);
  };
  if (value >= 0 && value <= 127) {
    body_.push_back(static_cast<char>(value));
  } else if (value >= -4096 && value <= 4095) {
    body_.push_back(static_cast<char>(0xc0 | (bits >> 8 & 0x1f)));
    body_.push_back(static_cast<char>(bits));
  } else if (value >= INT16_MIN && value <= INT16_MAX) {
    tagged(0xf1, 2);
  } else if (value >= -(1 << 23) && value < 1 << 23) {
    tagged(0xf2, 3);
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    tagged(0xf3, 4);
  } else {
    tagged(0xf4, 8);
  }
  Finish(before);
}

void ListpackWriter::Text(std::string_view text) {
  int64_t number = 0;
  if (ParseInt64(text, &number)) {
    return Integer(number);
  }
  const size_t before = body_.size();
  if (text.size() < 64) {
    body_.push_back(static_cast<char>(0x80 | text.size()));
  } else if (text.size() < 4096) {
    body_.push_back(static_cast<char>(0xe0 | text.size() >> 8));
    body_.push_back(static_cast<char>(text.size()));
  } else {
    body_.push_back(static_cast<char>(0xf0));
    AppendLittle(text.size(), 4, &body_);
  }
  body_.append(text);
  Finish(before);
}

void ListpackWriter::Finish(size_t before) {
  AppendBacklen(body_.size() - before, &body_);
  ++count_;
}

std::string ListpackWriter::Take() {
  constexpr size_t kMaxCount = 65535;  // Or more.
  std::string bytes;
  AppendLittle(4 + 2 + body_.size() + 1, 4, &bytes);
  AppendLittle(std::min(count_, kMaxCount), 2, &bytes);
  bytes.append(body_).push_back(static_cast<char>(kEnd));
  body_.clear();
  count_ = 0;
  return bytes;
}

Status ReadZiplist(std::string_view bytes, size_t max_elements,
                   std::vector<std::string>* elements) {
  const size_t end = elements->size() + max_elements;
  ByteReader in(bytes);
  const uint64_t size = in.Little(4);
  (void)in.Little(4);  // Where the last entry stands.
  (void)in.Little(2);  // How many.
  while (in.ok() && in.Peek() != kEnd) {
    KVS_RETURN_IF_ERROR(CheckRoom(*elements, end));
    if (in.Byte() == 0xfe) {
      (void)in.Little(4);  // The size of the entry before, if it is no single byte.
    }
    elements->push_back(ReadZiplistEntry(&in));
  }
  const bool ends = in.Byte() == kEnd;
  return in.ok() && ends && in.left() == 0 && size == bytes.size()
             ? Status::Ok()
             : Malformed("a ziplist is malformed");
}

Status ReadIntset(std::string_view bytes, size_t max_elements, std::vector<std::string>* elements) {
  ByteReader in(bytes);
  const uint64_t size = in.Little(4);
  const uint64_t count = in.Little(4);
  if (!in.ok() || (size != 2 && size != 4 && size != 8) || in.left() != size * count) {
    return Malformed("an intset is malformed");
  }
  if (count > max_elements) {
    return TooMany();
  }
  for (uint64_t i = 0; i < count; ++i) {
    elements->push_back(std::to_string(in.Signed(size)));
  }
  return Status::Ok();
}

Status ReadZipmap(std::string_view bytes, size_t max_elements, std::vector<std::string>* elements) {
  const size_t end = elements->size() + max_elements;
  ByteReader in(bytes);
  (void)in.Byte();  // How many; 254 and more say nothing.
  const auto read_size = [&in]() -> uint64_t {
    const uint8_t size = in.Byte();
    return size < 0xfe ? size : in.Little(4);
  };
  while (in.ok() && in.Peek() != kEnd) {
    KVS_RETURN_IF_ERROR(CheckRoom(*elements, end));
    elements->emplace_back(in.Take(read_size()));
    const uint64_t size = read_size();
    const uint8_t unused = in.Byte();
    elements->emplace_back(in.Take(size));
    (void)in.Take(unused);
  }
  const bool ends = in.Byte() == kEnd;
  return in.ok() && ends && in.left() == 0 ? Status::Ok() : Malformed("a zipmap is malformed");
}

}  // namespace kvs
