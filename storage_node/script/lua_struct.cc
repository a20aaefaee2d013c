// The library `struct`: C structures in strings, with the formats of Redis's library:
//   <  >     little or big end first          !n    aligns to n at most
//   x        a zero                           b B   h H   l L   T   f   d    as in C
//   in In    an integer of n bytes            cn    n characters; c0 when unpacking: as many as the
//   s        characters up to a zero                value before it says

#include <algorithm>
#include <bit>
#include <cctype>
#include <climits>
#include <cstring>

#include "storage_node/script/lua_state.h"

namespace kvs {
namespace {

constexpr int kMaxIntegerSize = 32;
constexpr int kMaxAlign = 8;

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// Walks a format.  Raises errors.
struct Format {
  lua_State* lua;
  const char* at;
  bool little = std::endian::native == std::endian::little;
  size_t align = 1;

  int TakeNumber(int otherwise) {
    if (!IsDigit(*at)) {
      return otherwise;
    }
    int number = 0;
    while (IsDigit(*at)) {
      const int digit = *at - '0';
      if (number > (INT_MAX - digit) / 10) {
        luaL_error(lua, "integral size overflow");
      }
      number = number * 10 + digit;
      ++at;
    }
    return number;
  }

  // Of the option that was taken; takes its number.
  size_t SizeOf(char option) {
    switch (option) {
      case 'B':
      case 'b':
      case 'x':
        return 1;
      case 'H':
      case 'h':
        return sizeof(short);  // NOLINT(google-runtime-int): what the format says.
      case 'L':
      case 'l':
        return sizeof(long);  // NOLINT(google-runtime-int)
      case 'T':
        return sizeof(size_t);
      case 'f':
        return sizeof(float);
      case 'd':
        return sizeof(double);
      case 'c':
        return static_cast<size_t>(TakeNumber(1));
      case 'i':
      case 'I': {
        const int size = TakeNumber(sizeof(int));
        if (size > kMaxIntegerSize) {
          luaL_error(lua, "integral size %d is larger than limit of %d", size, kMaxIntegerSize);
        }
        return static_cast<size_t>(size);
      }
      default:
        return 0;
    }
  }

  size_t Padding(size_t position, char option, size_t size) const {
    if (size == 0 || option == 'c') {
      return 0;
    }
    const size_t to = std::min(size, align);
    return (to - (position & (to - 1))) & (to - 1);
  }

  void Control(char option) {
    switch (option) {
      case ' ':
        return;
      case '>':
        little = false;
        return;
      case '<':
        little = true;
        return;
      case '!': {
        const int to = TakeNumber(kMaxAlign);
        if (to <= 0 || !std::has_single_bit(static_cast<unsigned>(to))) {
          luaL_error(lua, "alignment %d is not a power of 2", to);
        }
        align = static_cast<size_t>(to);
        return;
      }
      default:
        luaL_argerror(lua, 1, lua_pushfstring(lua, "invalid format option '%c'", option));
    }
  }
};

bool IsIntegerOption(char option) {
  return option != '\0' && std::strchr("bBhHlLTiI", option) != nullptr;
}

void AppendInteger(lua_State* lua, std::string* out, int argument, bool little, size_t size) {
  const lua_Number number = luaL_checknumber(lua, argument);
  constexpr double kSignedLimit = 9223372036854775808.0;
  uint64_t value = 0;
  if (number < 0) {
    value =
        static_cast<uint64_t>(number >= -kSignedLimit ? static_cast<int64_t>(number) : INT64_MIN);
  } else if (number < 2 * kSignedLimit) {
    value = static_cast<uint64_t>(number);
  }
  const size_t begin = out->size();
  for (size_t i = 0; i < size; ++i) {
    out->push_back(static_cast<char>(value & 0xff));
    value >>= 8;
  }
  if (!little) {
    std::reverse(out->begin() + static_cast<std::ptrdiff_t>(begin), out->end());
  }
}

template <typename Float>
void AppendFloat(std::string* out, Float value, bool little) {
  char bytes[sizeof(Float)];
  std::memcpy(bytes, &value, sizeof(Float));
  if (little != (std::endian::native == std::endian::little)) {
    std::reverse(std::begin(bytes), std::end(bytes));
  }
  out->append(bytes, sizeof(Float));
}

template <typename Float>
void PushFloat(lua_State* lua, std::string_view input, bool little) {
  char bytes[sizeof(Float)];
  std::memcpy(bytes, input.data(), sizeof(Float));
  if (little != (std::endian::native == std::endian::little)) {
    std::reverse(std::begin(bytes), std::end(bytes));
  }
  Float value;
  std::memcpy(&value, bytes, sizeof(Float));
  lua_pushnumber(lua, value);
}

void PushInteger(lua_State* lua, std::string_view bytes, bool little, bool is_signed) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    value = (value << 8) | static_cast<unsigned char>(bytes[little ? bytes.size() - 1 - i : i]);
  }
  if (!is_signed) {
    return lua_pushnumber(lua, static_cast<lua_Number>(value));
  }
  if (!bytes.empty()) {
    const uint64_t sign = ~uint64_t{0} << std::min<size_t>(bytes.size() * 8 - 1, 63);
    value = (value & sign) != 0 ? value | sign : value;
  }
  lua_pushnumber(lua, static_cast<lua_Number>(static_cast<int64_t>(value)));
}

int Pack(lua_State* lua) {
  Format format{.lua = lua, .at = luaL_checkstring(lua, 1)};
  LuaRun* run = RunOf(lua);
  std::string* out = &run->text;
  out->clear();
  int argument = 2;
  while (*format.at != '\0') {
    CheckBuilt(lua, *run, out->size());
    const char option = *format.at++;
    const size_t size = format.SizeOf(option);
    out->append(format.Padding(out->size(), option, size), '\0');
    if (IsIntegerOption(option)) {
      AppendInteger(lua, out, argument++, format.little, size);
    } else if (option == 'x') {
      out->push_back('\0');
    } else if (option == 'f') {
      AppendFloat(out, static_cast<float>(luaL_checknumber(lua, argument++)), format.little);
    } else if (option == 'd') {
      AppendFloat(out, luaL_checknumber(lua, argument++), format.little);
    } else if (option == 'c' || option == 's') {
      size_t length = 0;
      const char* text = luaL_checklstring(lua, argument++, &length);
      const size_t wanted = size == 0 ? length : size;
      luaL_argcheck(lua, length >= wanted, argument, "string too short");
      out->append(text, wanted);
      if (option == 's') {
        out->push_back('\0');
      }
    } else {
      format.Control(option);
    }
  }
  PushText(lua, *out);
  return 1;
}

int Unpack(lua_State* lua) {
  Format format{.lua = lua, .at = luaL_checkstring(lua, 1)};
  const std::string_view data = {luaL_checkstring(lua, 2), TextAt(lua, 2).size()};
  const lua_Integer first = luaL_optinteger(lua, 3, 1);
  luaL_argcheck(lua, first > 0, 3, "offset must be 1 or greater");
  auto at = static_cast<size_t>(first - 1);
  int count = 0;
  while (*format.at != '\0') {
    const char option = *format.at++;
    size_t size = format.SizeOf(option);
    at += format.Padding(at, option, size);
    luaL_argcheck(lua, size <= data.size() && at <= data.size() - size, 2, "data string too short");
    luaL_checkstack(lua, 2, "too many results");
    if (IsIntegerOption(option)) {
      PushInteger(lua, data.substr(at, size), format.little,
                  std::islower(static_cast<unsigned char>(option)) != 0);
      ++count;
    } else if (option == 'f') {
      PushFloat<float>(lua, data.substr(at, size), format.little);
      ++count;
    } else if (option == 'd') {
      PushFloat<double>(lua, data.substr(at, size), format.little);
      ++count;
    } else if (option == 'c') {
      if (size == 0) {
        if (count == 0 || lua_isnumber(lua, -1) == 0) {
          luaL_error(lua, "format 'c0' needs a previous size");
        }
        const lua_Number wanted = lua_tonumber(lua, -1);
        lua_pop(lua, 1);
        --count;
        luaL_argcheck(lua, wanted >= 0 && wanted <= static_cast<lua_Number>(data.size() - at), 2,
                      "data string too short");
        size = static_cast<size_t>(wanted);
      }
      PushText(lua, data.substr(at, size));
      ++count;
    } else if (option == 's') {
      const size_t end = data.find('\0', at);
      if (end == std::string_view::npos) {
        luaL_error(lua, "unfinished string in data");
      }
      PushText(lua, data.substr(at, end - at));
      size = end - at + 1;
      ++count;
    } else if (option != 'x') {
      format.Control(option);
    }
    at += size;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(at + 1));
  return count + 1;
}

int Size(lua_State* lua) {
  Format format{.lua = lua, .at = luaL_checkstring(lua, 1)};
  size_t at = 0;
  while (*format.at != '\0') {
    const char option = *format.at++;
    const size_t size = format.SizeOf(option);
    at += format.Padding(at, option, size);
    if (option == 's') {
      return luaL_argerror(lua, 1, "option 's' has no fixed size");
    }
    if (option == 'c' && size == 0) {
      return luaL_argerror(lua, 1, "option 'c0' has no fixed size");
    }
    if (std::isalnum(static_cast<unsigned char>(option)) == 0) {
      format.Control(option);
    }
    at += size;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(at));
  return 1;
}

}  // namespace

void PushStructLibrary(lua_State* lua) {
  constexpr luaL_Reg kFunctions[] = {{"pack", Pack}, {"unpack", Unpack}, {"size", Size}};
  lua_newtable(lua);
  for (const luaL_Reg& function : kFunctions) {
    lua_pushcfunction(lua, function.func);
    lua_setfield(lua, -2, function.name);
  }
}

}  // namespace kvs
