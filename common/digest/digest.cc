#include "common/digest/digest.h"

#include <openssl/evp.h>

#include <array>

#include "common/base/check.h"

namespace kvs {
namespace {

std::string HexOf(std::string_view text, const EVP_MD* kind) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  KVS_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &size, kind, nullptr) == 1);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(size_t{2} * size);
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

}  // namespace

std::string Sha1Hex(std::string_view text) {
  return HexOf(text, EVP_sha1());
}

std::string Sha256Hex(std::string_view text) {
  return HexOf(text, EVP_sha256());
}

}  // namespace kvs
