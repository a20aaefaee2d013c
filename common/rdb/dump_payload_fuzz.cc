// What reads as a value must be the same value when it is written and read again.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/rdb/dump_payload.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  (void)kvs::CheckDumpFooter(payload);
  const kvs::Result<kvs::RdbValue> value = kvs::ReadDump(payload, kMaxBytes);
  if (!value.ok()) {
    return 0;
  }
  using Type = kvs::RdbValue::Type;
  std::string again;
  kvs::DumpWriter writer(&again);
  if (value->type == Type::kString) {
    writer.String(value->text);
  } else if (value->type == Type::kStream) {
    writer.Stream(value->stream);
  } else if (value->type == Type::kZSet) {
    writer.Collection(value->type, value->scored.size());
    for (const auto& [member, score] : value->scored) {
      writer.Scored(member, score);
    }
  } else {
    writer.Collection(value->type, value->elements.size() / (value->type == Type::kHash ? 2 : 1));
    for (const std::string& element : value->elements) {
      writer.Element(element);
    }
  }
  writer.Finish();
  KVS_CHECK(kvs::CheckDumpFooter(again));
  const kvs::Result<kvs::RdbValue> reread = kvs::ReadDump(again, SIZE_MAX);
  KVS_CHECK(reread.ok());
  kvs::RdbValue expected = *value;
  for (kvs::RdbStreamGroup& group : expected.stream.groups) {
    for (kvs::RdbStreamConsumer& consumer : group.consumers) {
      consumer.active_ms = consumer.seen_ms;  // It is not written.
    }
  }
  KVS_CHECK(*reread == expected);
  return 0;
}
