#include "common/resp/resp_writer.h"

#include <charconv>
#include <cstring>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/resp/error_text.h"

namespace kvs {
namespace {

// Appends "<type><value>\r\n" with one append, so the string grows at most once.
void AppendNumberLine(char type, int64_t value, std::string* out) {
  char line[1 + kMaxIntegerDigits + 2];
  line[0] = type;
  char* end = line + 2;
  if (value >= 0 && value < 10) {
    line[1] = static_cast<char>('0' + value);
  } else {
    end = std::to_chars(line + 1, line + sizeof(line), value).ptr;
  }
  *end++ = '\r';
  *end++ = '\n';
  out->append(line, static_cast<size_t>(end - line));
}

void AppendBulk(char type, std::string_view bytes, std::string* out) {
  AppendNumberLine(type, static_cast<int64_t>(bytes.size()), out);
  out->append(bytes);
  out->append("\r\n", 2);
}

void AppendLine(char type, std::string_view text, std::string* out) {
  out->push_back(type);
  out->append(text);
  out->append("\r\n", 2);
}

}  // namespace

void RespWriter::Simple(std::string_view text) {
  AppendLine('+', text, out_);
}

void RespWriter::Error(std::string_view text) {
  out_->push_back('-');
  AppendErrorLine(text, out_);
  out_->append("\r\n", 2);
}

void RespWriter::Error(const Status& status) {
  AppendLine('-', ErrorText(status), out_);
}

void RespWriter::Integer(int64_t value) {
  AppendNumberLine(':', value, out_);
}

void RespWriter::Bulk(std::string_view bytes) {
  AppendBulk('$', bytes, out_);
}

void RespWriter::BeginBulk(size_t size) {
  out_->reserve(out_->size() + 1 + kMaxIntegerDigits + 2 + size + 2);
  Header('$', size);
}

void RespWriter::Map(size_t pair_count) {
  if (protocol_ == 2) {
    Header('*', 2 * pair_count);
  } else {
    Header('%', pair_count);
  }
}

void RespWriter::Double(double value) {
  const std::string text = FormatDouble(value);
  if (protocol_ == 2) {
    Bulk(text);
  } else {
    AppendLine(',', text, out_);
  }
}

void RespWriter::Score(double value) {
  const std::string text = FormatScore(value);
  if (protocol_ == 2) {
    Bulk(text);
  } else {
    AppendLine(',', text, out_);
  }
}

void RespWriter::Boolean(bool value) {
  if (protocol_ == 2) {
    out_->append(value ? kOneReply : kZeroReply);
  } else {
    out_->append(value ? "#t\r\n" : "#f\r\n");
  }
}

void RespWriter::BigNumber(std::string_view digits) {
  if (protocol_ == 2) {
    Bulk(digits);
  } else {
    AppendLine('(', digits, out_);
  }
}

void RespWriter::Verbatim(std::string_view format, std::string_view text) {
  KVS_CHECK(format.size() == 3);
  if (protocol_ == 2) {
    Bulk(text);
    return;
  }
  AppendNumberLine('=', static_cast<int64_t>(text.size() + 4), out_);
  out_->append(format);
  out_->push_back(':');
  out_->append(text);
  out_->append("\r\n", 2);
}

void RespWriter::Header(char type, size_t count) {
  AppendNumberLine(type, static_cast<int64_t>(count), out_);
}

void EncodeRequest(std::span<const std::string_view> args, std::string* out) {
  AppendNumberLine('*', static_cast<int64_t>(args.size()), out);
  for (const std::string_view arg : args) {
    AppendBulk('$', arg, out);
  }
}

void EncodeRequest(std::initializer_list<std::string_view> args, std::string* out) {
  EncodeRequest(std::span<const std::string_view>(args.begin(), args.size()), out);
}

}  // namespace kvs
