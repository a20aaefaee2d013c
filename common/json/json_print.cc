// Json::ToString(): our own printer, because its text must be valid whatever the strings hold.

#include <cmath>
#include <cstdio>

#include "common/base/strings.h"
#include "common/json/json.h"
#include "common/json/utf8.h"

namespace kvs {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

void AppendEscaped(char c, std::string* out) {
  switch (c) {
    case '"':
      out->append("\\\"");
      return;
    case '\\':
      out->append("\\\\");
      return;
    case '\n':
      out->append("\\n");
      return;
    case '\r':
      out->append("\\r");
      return;
    case '\t':
      out->append("\\t");
      return;
    default:
      break;
  }
  if (static_cast<unsigned char>(c) >= 0x20) {
    out->push_back(c);
    return;
  }
  char code[8];
  std::snprintf(code, sizeof(code), "\\u%04x", static_cast<unsigned>(c));
  out->append(code);
}

void AppendString(std::string_view text, std::string* out) {
  out->push_back('"');
  while (!text.empty()) {
    const size_t size = Utf8SequenceSize(text);
    if (size == 0) {
      out->append(kReplacement);
    } else if (size == 1) {
      AppendEscaped(text[0], out);
    } else {
      out->append(text.substr(0, size));
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  out->push_back('"');
}

void AppendDouble(double value, std::string* out) {
  if (!std::isfinite(value)) {
    out->append("null");
    return;
  }
  const std::string text = FormatDouble(value);
  out->append(text);
  // Reads back as a double.
  if (text.find_first_of(".e") == std::string::npos) {
    out->append(".0");
  }
}

}  // namespace

class JsonPrinter {
 public:
  JsonPrinter(bool pretty, std::string* out) : pretty_(pretty), out_(out) {}

  // Recursion is bounded: whoever built the value nested it by hand or through Parse()'s limit.
  void Print(const Json& json) {
    std::visit([this](const auto& value) { Print(value); }, json.value_);
  }

 private:
  void Print(std::monostate) { out_->append("null"); }
  void Print(bool value) { out_->append(value ? "true" : "false"); }
  void Print(int64_t value) { out_->append(std::to_string(value)); }
  void Print(uint64_t value) { out_->append(std::to_string(value)); }
  void Print(double value) { AppendDouble(value, out_); }
  void Print(const std::string& value) { AppendString(value, out_); }

  void Print(const Json::Array& elements) {
    out_->push_back('[');
    ++depth_;
    for (size_t i = 0; i < elements.size(); ++i) {
      Separate(i);
      Print(elements[i]);
    }
    Close(elements.empty(), ']');
  }

  void Print(const Json::Object& members) {
    out_->push_back('{');
    ++depth_;
    for (size_t i = 0; i < members.size(); ++i) {
      Separate(i);
      AppendString(members[i].first, out_);
      out_->append(pretty_ ? ": " : ":");
      Print(members[i].second);
    }
    Close(members.empty(), '}');
  }

  void Separate(size_t index) {
    if (index > 0) {
      out_->push_back(',');
    }
    BreakLine();
  }

  void Close(bool empty, char bracket) {
    --depth_;
    if (!empty) {
      BreakLine();
    }
    out_->push_back(bracket);
  }

  void BreakLine() {
    if (pretty_) {
      out_->push_back('\n');
      out_->append(2 * depth_, ' ');
    }
  }

  const bool pretty_;
  std::string* const out_;
  size_t depth_ = 0;
};

std::string Json::ToString() const {
  std::string text;
  JsonPrinter(false, &text).Print(*this);
  return text;
}

std::string Json::ToPrettyString() const {
  std::string text;
  JsonPrinter(true, &text).Print(*this);
  text.push_back('\n');
  return text;
}

}  // namespace kvs
