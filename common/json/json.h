// Json: a JSON value, and the only door to the JSON library.
//
// Reading is get-or-error: each getter names the field, says what was expected and returns a
// Status, so a handler is a list of KVS_ASSIGN_OR_RETURN and hostile text ends in a message and not
// in a crash.  Writing is building a value and printing it; object members keep the order in which
// they were set, so the same content is the same text.
//
// Threads: a value.
// Owner:   the caller.

#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/status.h"

namespace kvs {

struct JsonLimits {
  size_t max_bytes = size_t{8} << 20;
  int max_depth = 64;  // Arrays and objects inside each other.
};

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  // Reads one JSON text (RFC 8259) in valid UTF-8.  Numbers that are integers in [-2^63, 2^64) keep
  // all their digits; others become doubles.
  //   kTooLarge: longer than max_bytes
  //   kInvalidArgument: not JSON, nested too deep, a number that no double holds, or an object with
  //   the same name twice
  static Result<Json> Parse(std::string_view text, const JsonLimits& limits = {});

  // Copies and moves are out of line: a variant of this kind costs too much code at each use.
  Json();  // null
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();
  Json(bool value) : value_(value) {}                           // NOLINT: implicit on purpose
  Json(int value) : value_(int64_t{value}) {}                   // NOLINT
  Json(unsigned value) : value_(int64_t{value}) {}              // NOLINT
  Json(int64_t value) : value_(value) {}                        // NOLINT
  Json(uint64_t value);                                         // NOLINT
  Json(double value) : value_(value) {}                         // NOLINT
  Json(std::string value) : value_(std::move(value)) {}         // NOLINT
  Json(std::string_view value) : value_(std::string(value)) {}  // NOLINT
  Json(const char* value) : value_(std::string(value)) {}       // NOLINT
  static Json MakeArray(Array elements = {});
  static Json MakeObject(Object members = {});

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }

  // This value itself.  `what` names it in the error, such as "slots[3]".
  //   kInvalidArgument: it has another type, or the number does not fit
  Result<bool> AsBool(std::string_view what = "value") const;
  Result<int64_t> AsInt(std::string_view what = "value") const;
  Result<uint64_t> AsUint(std::string_view what = "value") const;
  Result<double> AsDouble(std::string_view what = "value") const;
  // The pointers live as long as this value.
  Result<const std::string*> AsString(std::string_view what = "value") const;
  Result<const Array*> AsArray(std::string_view what = "value") const;
  Result<const Object*> AsObject(std::string_view what = "value") const;

  // A member of this object.
  //   kInvalidArgument: this is no object, the member is missing or has another type
  Result<bool> GetBool(std::string_view name) const;
  Result<int64_t> GetInt(std::string_view name) const;
  Result<uint64_t> GetUint(std::string_view name) const;
  Result<double> GetDouble(std::string_view name) const;
  Result<std::string> GetString(std::string_view name) const;
  Result<const Array*> GetArray(std::string_view name) const;
  // An object, for its own getters.
  Result<const Json*> GetObject(std::string_view name) const;

  // As above, but `fallback` if the member is missing or null.
  Result<bool> GetBool(std::string_view name, bool fallback) const;
  Result<int64_t> GetInt(std::string_view name, int64_t fallback) const;
  Result<uint64_t> GetUint(std::string_view name, uint64_t fallback) const;
  Result<double> GetDouble(std::string_view name, double fallback) const;
  Result<std::string> GetString(std::string_view name, std::string_view fallback) const;

  // Returns the member, or nullptr if it is missing or this is no object.
  const Json* Find(std::string_view name) const;
  // Returns OK if all members of this object are among `known`.
  //   kInvalidArgument: names the others, and what is known
  Status CheckFields(std::initializer_list<std::string_view> known) const;

  // Appends a member or replaces its value.  Null becomes an object first.
  // REQUIRES: this is an object or null
  Json& Set(std::string_view name, Json value);
  // Appends an element.  Null becomes an array first.
  // REQUIRES: this is an array or null
  Json& Append(Json value);

  // Returns the text, on one line without spaces.  Bytes of strings that are no UTF-8 become U+FFFD
  // and numbers that JSON lacks (infinities, NaN) null, so the result is JSON always.
  std::string ToString() const;
  // Returns the text on lines indented by two spaces, with a line's end behind it.
  std::string ToPrettyString() const;

  bool operator==(const Json& other) const;

 private:
  friend class JsonPrinter;
  Result<const Json*> Get(std::string_view name) const;
  Status WrongType(std::string_view what, std::string_view wanted) const;

  // A non-negative integer is held as int64_t if it fits, whatever it was made from.
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object> value_;
};

}  // namespace kvs
