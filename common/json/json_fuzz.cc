// Whatever Json::Parse() accepts prints as JSON that reads back as the same value.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/json/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvs::Json;
  using kvs::Result;
  const Result<Json> json = Json::Parse({reinterpret_cast<const char*>(data), size});
  if (!json.ok()) {
    return 0;
  }
  const Result<Json> compact = Json::Parse(json->ToString());
  const Result<Json> pretty = Json::Parse(json->ToPrettyString());
  KVS_CHECK(compact.ok() && *compact == *json);
  KVS_CHECK(pretty.ok() && *pretty == *json);
  KVS_CHECK(compact->ToString() == json->ToString());
  return 0;
}
