#include "common/base/coding.h"

namespace kvs {

void PutVarint64(std::string* out, uint64_t value) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

bool GetVarint64(std::string_view* input, uint64_t* value) {
  uint64_t result = 0;
  for (size_t i = 0; i < input->size() && i < 10; ++i) {
    const auto byte = static_cast<unsigned char>((*input)[i]);
    if (i == 9 && byte > 1) {
      return false;
    }
    result |= uint64_t{byte & 0x7fU} << (7 * i);
    if ((byte & 0x80) == 0) {
      *value = result;
      input->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

void PutLengthPrefixed(std::string* out, std::string_view bytes) {
  PutVarint64(out, bytes.size());
  out->append(bytes);
}

bool GetLengthPrefixed(std::string_view* input, std::string_view* bytes) {
  std::string_view rest = *input;
  uint64_t size = 0;
  if (!GetVarint64(&rest, &size) || size > rest.size()) {
    return false;
  }
  *bytes = rest.substr(0, size);
  rest.remove_prefix(size);
  *input = rest;
  return true;
}

}  // namespace kvs
