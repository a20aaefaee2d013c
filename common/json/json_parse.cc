// Json::Parse(): RapidJSON's iterative SAX reader, with a stack of our own that counts the depth.

#include <rapidjson/encodedstream.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/json/json.h"
#include "common/json/utf8.h"

namespace kvs {
namespace {

// Takes the reader's events and builds the value.  Returning false stops the reader; error_ then
// says why.
class Builder {
 public:
  explicit Builder(int max_depth) : max_depth_(static_cast<size_t>(std::max(max_depth, 0))) {}

  bool Null() { return Add(Json()); }
  bool Bool(bool value) { return Add(value); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    return AddNumber(std::string_view(text, size));
  }
  // The reader's own conversions are undefined for some zeros, so we ask for the digits instead.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    return CheckText({text, size}) && Add(std::string_view(text, size));
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    if (!CheckText({text, size})) {
      return false;
    }
    open_.back().names.emplace_back(text, size);
    return true;
  }
  bool StartObject() { return Open(); }
  bool StartArray() { return Open(); }
  bool EndObject(rapidjson::SizeType) {
    Level level = Close();
    std::vector<std::string_view> sorted(level.names.begin(), level.names.end());
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) {
      error_ = "field \"" + std::string(twice->substr(0, 64)) + "\" stands twice";
      return false;
    }
    Json::Object members;
    members.reserve(level.values.size());
    for (size_t i = 0; i < level.values.size(); ++i) {
      members.emplace_back(std::move(level.names[i]), std::move(level.values[i]));
    }
    return Add(Json::MakeObject(std::move(members)));
  }
  bool EndArray(rapidjson::SizeType) { return Add(Json::MakeArray(Close().values)); }

  const std::string& error() const { return error_; }
  Json TakeResult() { return std::move(result_); }

 private:
  // An array or object that is not closed yet; an array has no names.
  struct Level {
    std::vector<std::string> names;
    std::vector<Json> values;
  };

  bool Add(Json value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else {
      open_.back().values.push_back(std::move(value));
    }
    return true;
  }

  // The reader lets an escaped low surrogate through that follows no high one.
  bool CheckText(std::string_view text) {
    if (!IsValidUtf8(text)) {
      error_ = "a string is not valid UTF-8";
      return false;
    }
    return true;
  }

  bool AddNumber(std::string_view digits) {
    int64_t integer = 0;
    uint64_t large = 0;
    double real = 0;
    if (ParseInt64(digits, &integer)) {
      return Add(integer);
    }
    if (ParseUint64(digits, &large)) {
      return Add(large);
    }
    if (ParseDouble(digits, &real)) {
      return Add(real);
    }
    error_ = "a number is out of range";
    return false;
  }

  bool Open() {
    if (open_.size() >= max_depth_) {
      error_ = "nested deeper than " + std::to_string(max_depth_);
      return false;
    }
    open_.emplace_back();
    return true;
  }

  Level Close() {
    Level level = std::move(open_.back());
    open_.pop_back();
    return level;
  }

  const size_t max_depth_;
  std::vector<Level> open_;
  Json result_;
  std::string error_;
};

}  // namespace

Result<Json> Json::Parse(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return Status::TooLarge("json of " + std::to_string(text.size()) + " bytes; the limit is " +
                            std::to_string(limits.max_bytes));
  }
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag |
                              rapidjson::kParseValidateEncodingFlag |
                              rapidjson::kParseNumbersAsStringsFlag;
  Builder builder(limits.max_depth);
  rapidjson::MemoryStream memory(text.data(), text.size());
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream(memory);
  rapidjson::Reader reader;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, builder);
  if (!result.IsError()) {
    return builder.TakeResult();
  }
  const std::string reason =
      builder.error().empty() ? rapidjson::GetParseError_En(result.Code()) : builder.error();
  return Status::InvalidArgument("json, at byte " + std::to_string(result.Offset()) + ": " +
                                 reason);
}

}  // namespace kvs
