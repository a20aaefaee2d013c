// Any text is either a good configuration or a clear error, and what is good survives a rewrite.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/config/config_file.h"

namespace kvs {
namespace {

struct FuzzOptions {
  int64_t port = 1;
  Bytes size = 1_MiB;
  Duration pause = std::chrono::seconds(1);
  bool flag = false;
  std::string name;
  StringList list;
};

const std::vector<OptionRow>& Rows() {
  static const std::vector<OptionRow> rows = {
      MakeOptionRow<FuzzOptions, &FuzzOptions::port>("port", {.max = 65535}),
      MakeOptionRow<FuzzOptions, &FuzzOptions::size>("size", {}),
      MakeOptionRow<FuzzOptions, &FuzzOptions::pause>("pause", {}),
      MakeOptionRow<FuzzOptions, &FuzzOptions::flag>("flag", {}),
      MakeOptionRow<FuzzOptions, &FuzzOptions::name>("name", {}),
      MakeOptionRow<FuzzOptions, &FuzzOptions::list>("list", {})};
  return rows;
}

}  // namespace
}  // namespace kvs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvs::FuzzOptions;
  using kvs::Rows;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.find("include") != std::string_view::npos) {
    return 0;  // It would read files of the machine.
  }
  FuzzOptions options;
  if (!kvs::LoadOptionsText(Rows(), text, "fuzz", &options).ok()) {
    return 0;
  }
  const FuzzOptions defaults;
  FuzzOptions again;
  KVS_CHECK(kvs::LoadOptionsText(Rows(), kvs::RewriteOptionsText(Rows(), "", &defaults, &options),
                                 "again", &again)
                .ok());
  KVS_CHECK(kvs::EffectiveConfigText(Rows(), &again) == kvs::EffectiveConfigText(Rows(), &options));
  return 0;
}
