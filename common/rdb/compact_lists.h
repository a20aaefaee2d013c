// The compact encodings of Redis's small collections: listpack, ziplist, intset, zipmap.
//
// Each is one string that holds the elements one behind the other.  Readers take hostile bytes:
// they look at nothing outside of them and believe no count.
//
// Threads: pure functions; a ListpackWriter is a value.
// Format:  redis/src/listpack.c, ziplist.c, intset.c and zipmap.c describe theirs at the top.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace kvs {

// Each appends the elements, integers in decimal.
//   kInvalidArgument: the bytes are not such a list; kTooLarge: it has more than max_elements
Status ReadListpack(std::string_view bytes, size_t max_elements,
                    std::vector<std::string>* elements);
Status ReadZiplist(std::string_view bytes, size_t max_elements, std::vector<std::string>* elements);
Status ReadIntset(std::string_view bytes, size_t max_elements, std::vector<std::string>* elements);
// Keys and values in turns.
Status ReadZipmap(std::string_view bytes, size_t max_elements, std::vector<std::string>* elements);

// Makes a listpack, whose bytes are those that Redis makes of the same elements.
class ListpackWriter {
 public:
  // What reads as an integer is kept as one.
  void Text(std::string_view text);
  void Integer(int64_t value);
  // Adds the elements of another one.
  void Append(const ListpackWriter& other) {
    body_ += other.body_;
    count_ += other.count_;
  }
  size_t size() const { return body_.size(); }
  // Returns the listpack, and begins another.
  std::string Take();

 private:
  void Finish(size_t before);

  std::string body_;
  size_t count_ = 0;
};

}  // namespace kvs
