#include "common/json/json.h"

#include <algorithm>
#include <limits>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

// As much of a field's name as an error quotes.
constexpr size_t kMaxQuoted = 64;

std::string Quote(std::string_view name) {
  return "\"" + std::string(name.substr(0, kMaxQuoted)) + "\"";
}

template <typename T>
Result<T> Named(Result<T> result, std::string_view name) {
  if (result.ok()) {
    return result;
  }
  return result.status().WithContext("field " + Quote(name));
}

}  // namespace

Json::Json() = default;
Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

bool Json::operator==(const Json& other) const {
  return value_ == other.value_;
}

Json::Json(uint64_t value) {
  if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    value_ = static_cast<int64_t>(value);
  } else {
    value_ = value;
  }
}

Json Json::MakeArray(Array elements) {
  Json json;
  json.value_ = std::move(elements);
  return json;
}

Json Json::MakeObject(Object members) {
  Json json;
  json.value_ = std::move(members);
  return json;
}

Status Json::WrongType(std::string_view what, std::string_view wanted) const {
  static constexpr std::string_view kTypes[] = {"null",     "a boolean", "a number", "a number",
                                                "a number", "a string",  "an array", "an object"};
  return Status::InvalidArgument(std::string(what) + " is " + std::string(kTypes[value_.index()]) +
                                 ", give " + std::string(wanted));
}

Result<bool> Json::AsBool(std::string_view what) const {
  const bool* value = std::get_if<bool>(&value_);
  if (value == nullptr) {
    return WrongType(what, "true or false");
  }
  return *value;
}

Result<int64_t> Json::AsInt(std::string_view what) const {
  const int64_t* value = std::get_if<int64_t>(&value_);
  if (value == nullptr) {
    return WrongType(what, "an integer in [-2^63, 2^63)");
  }
  return *value;
}

Result<uint64_t> Json::AsUint(std::string_view what) const {
  if (const uint64_t* large = std::get_if<uint64_t>(&value_)) {
    return *large;
  }
  const int64_t* value = std::get_if<int64_t>(&value_);
  if (value == nullptr || *value < 0) {
    return WrongType(what, "an integer in [0, 2^64)");
  }
  return static_cast<uint64_t>(*value);
}

Result<double> Json::AsDouble(std::string_view what) const {
  if (const int64_t* integer = std::get_if<int64_t>(&value_)) {
    return static_cast<double>(*integer);
  }
  if (const uint64_t* integer = std::get_if<uint64_t>(&value_)) {
    return static_cast<double>(*integer);
  }
  const double* value = std::get_if<double>(&value_);
  if (value == nullptr) {
    return WrongType(what, "a number");
  }
  return *value;
}

Result<const std::string*> Json::AsString(std::string_view what) const {
  const std::string* value = std::get_if<std::string>(&value_);
  if (value == nullptr) {
    return WrongType(what, "a string");
  }
  return value;
}

Result<const Json::Array*> Json::AsArray(std::string_view what) const {
  const Array* value = std::get_if<Array>(&value_);
  if (value == nullptr) {
    return WrongType(what, "an array");
  }
  return value;
}

Result<const Json::Object*> Json::AsObject(std::string_view what) const {
  const Object* value = std::get_if<Object>(&value_);
  if (value == nullptr) {
    return WrongType(what, "an object");
  }
  return value;
}

const Json* Json::Find(std::string_view name) const {
  const Object* members = std::get_if<Object>(&value_);
  if (members == nullptr) {
    return nullptr;
  }
  const auto it = std::find_if(members->begin(), members->end(),
                               [name](const Member& member) { return member.first == name; });
  return it == members->end() ? nullptr : &it->second;
}

Result<const Json*> Json::Get(std::string_view name) const {
  KVS_RETURN_IF_ERROR(AsObject().status());
  const Json* member = Find(name);
  if (member == nullptr) {
    return Status::InvalidArgument("field " + Quote(name) + " is missing");
  }
  return member;
}

Result<bool> Json::GetBool(std::string_view name) const {
  KVS_ASSIGN_OR_RETURN(const Json* member, Get(name));
  return Named(member->AsBool(), name);
}

Result<int64_t> Json::GetInt(std::string_view name) const {
  KVS_ASSIGN_OR_RETURN(const Json* member, Get(name));
  return Named(member->AsInt(), name);
}

Result<uint64_t> Json::GetUint(std::string_view name) const {
  KVS_ASSIGN_OR_RETURN(const Json* member, Get(name));
  return Named(member->AsUint(), name);
}

Result<double> Json::GetDouble(std::string_view name) const {
  KVS_ASSIGN_OR_RETURN(const Json* member, Get(name));
  return Named(member->AsDouble(), name);
}

Result<std::string> Json::GetString(std::string_view name) const {
  KVS_ASSIGN_OR_RETURN(const Json* member, Get(name));
  KVS_ASSIGN_OR_RETURN(const std::string* value, Named(member->AsString(), name));
  return *value;
}

Result<const Json::Array*> Json::GetArray(std::string_view name) const {
  KVS_ASSIGN_OR_RETURN(const Json* member, Get(name));
  return Named(member->AsArray(), name);
}

Result<const Json*> Json::GetObject(std::string_view name) const {
  KVS_ASSIGN_OR_RETURN(const Json* member, Get(name));
  KVS_RETURN_IF_ERROR(Named(member->AsObject(), name).status());
  return member;
}

Result<bool> Json::GetBool(std::string_view name, bool fallback) const {
  const Json* member = Find(name);
  return member == nullptr || member->is_null() ? Result<bool>(fallback) : GetBool(name);
}

Result<int64_t> Json::GetInt(std::string_view name, int64_t fallback) const {
  const Json* member = Find(name);
  return member == nullptr || member->is_null() ? Result<int64_t>(fallback) : GetInt(name);
}

Result<uint64_t> Json::GetUint(std::string_view name, uint64_t fallback) const {
  const Json* member = Find(name);
  return member == nullptr || member->is_null() ? Result<uint64_t>(fallback) : GetUint(name);
}

Result<double> Json::GetDouble(std::string_view name, double fallback) const {
  const Json* member = Find(name);
  return member == nullptr || member->is_null() ? Result<double>(fallback) : GetDouble(name);
}

Result<std::string> Json::GetString(std::string_view name, std::string_view fallback) const {
  const Json* member = Find(name);
  return member == nullptr || member->is_null() ? Result<std::string>(std::string(fallback))
                                                : GetString(name);
}

Status Json::CheckFields(std::initializer_list<std::string_view> known) const {
  KVS_ASSIGN_OR_RETURN(const Object* members, AsObject());
  std::string unknown;
  for (const auto& [name, value] : *members) {
    if (std::find(known.begin(), known.end(), name) == known.end() && unknown.size() < 512) {
      unknown += (unknown.empty() ? "" : ", ") + Quote(name);
    }
  }
  if (unknown.empty()) {
    return Status::Ok();
  }
  std::string remedy;
  for (const std::string_view name : known) {
    remedy += (remedy.empty() ? "" : ", ") + std::string(name);
  }
  return Status::InvalidArgument("unknown field " + unknown + "; there are " + remedy);
}

Json& Json::Set(std::string_view name, Json value) {
  if (is_null()) {
    value_ = Object();
  }
  Object* members = std::get_if<Object>(&value_);
  KVS_CHECK(members != nullptr);
  for (auto& [existing, old] : *members) {
    if (existing == name) {
      old = std::move(value);
      return *this;
    }
  }
  members->emplace_back(std::string(name), std::move(value));
  return *this;
}

Json& Json::Append(Json value) {
  if (is_null()) {
    value_ = Array();
  }
  Array* elements = std::get_if<Array>(&value_);
  KVS_CHECK(elements != nullptr);
  elements->push_back(std::move(value));
  return *this;
}

}  // namespace kvs
