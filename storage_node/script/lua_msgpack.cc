// The library `cmsgpack`: MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md),
// with the choices of Redis's library: the shortest form of a number, tables with the keys 1 to n
// as arrays, tables nested more deeply than 16 as nil.

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "storage_node/script/lua_state.h"

namespace kvs {
namespace {

constexpr int kMaxNesting = 16;
// Of what is unpacked.
constexpr int kMaxDepth = 1000;

void AppendByte(std::string* out, unsigned byte) {
  out->push_back(static_cast<char>(byte));
}

// The `size` lowest bytes, the highest first.
void AppendBigEndian(std::string* out, uint64_t value, int size) {
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) {
    AppendByte(out, static_cast<unsigned>((value >> shift) & 0xff));
  }
}

void AppendTagged(std::string* out, unsigned tag, uint64_t value, int size) {
  AppendByte(out, tag);
  AppendBigEndian(out, value, size);
}

void AppendInteger(std::string* out, int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  if (value >= 0) {
    if (value <= 0x7f) {
      AppendByte(out, static_cast<unsigned>(value));
    } else if (value <= UINT8_MAX) {
      AppendTagged(out, 0xcc, bits, 1);
    } else if (value <= UINT16_MAX) {
      AppendTagged(out, 0xcd, bits, 2);
    } else if (value <= UINT32_MAX) {
      AppendTagged(out, 0xce, bits, 4);
    } else {
      AppendTagged(out, 0xcf, bits, 8);
    }
  } else if (value >= -32) {
    AppendByte(out, static_cast<unsigned>(bits & 0xff));
  } else if (value >= INT8_MIN) {
    AppendTagged(out, 0xd0, bits, 1);
  } else if (value >= INT16_MIN) {
    AppendTagged(out, 0xd1, bits, 2);
  } else if (value >= INT32_MIN) {
    AppendTagged(out, 0xd2, bits, 4);
  } else {
    AppendTagged(out, 0xd3, bits, 8);
  }
}

bool IsInteger(lua_Number number) {
  constexpr double kLimit = 9223372036854775808.0;
  return number >= -kLimit && number < kLimit && number == std::floor(number);
}

void AppendNumber(std::string* out, lua_Number number) {
  if (IsInteger(number)) {
    AppendInteger(out, static_cast<int64_t>(number));
  } else if (const auto narrow = static_cast<float>(number);
             static_cast<double>(narrow) == number) {
    AppendTagged(out, 0xca, std::bit_cast<uint32_t>(narrow), 4);
  } else {
    AppendTagged(out, 0xcb, std::bit_cast<uint64_t>(number), 8);
  }
}

// Tags of a form: the count in the tag up to `fixed_max`, else behind it in 1 (if there is such a
// form), 2 or 4 bytes.
struct CountTags {
  unsigned fixed;
  size_t fixed_max;
  unsigned one;  // 0: no such form.
  unsigned two;
  unsigned four;
};
constexpr CountTags kStringTags = {0xa0, 31, 0xd9, 0xda, 0xdb};
constexpr CountTags kArrayTags = {0x90, 15, 0, 0xdc, 0xdd};
constexpr CountTags kMapTags = {0x80, 15, 0, 0xde, 0xdf};

void AppendCount(std::string* out, const CountTags& tags, size_t count) {
  if (count <= tags.fixed_max) {
    AppendByte(out, tags.fixed | static_cast<unsigned>(count));
  } else if (tags.one != 0 && count <= UINT8_MAX) {
    AppendTagged(out, tags.one, count, 1);
  } else if (count <= UINT16_MAX) {
    AppendTagged(out, tags.two, count, 2);
  } else {
    AppendTagged(out, tags.four, count, 4);
  }
}

struct TableShape {
  size_t pairs = 0;
  bool is_array = true;  // Its keys are 1 to `pairs`.
};

TableShape ShapeOf(lua_State* lua) {
  TableShape shape;
  lua_Number highest = 0;
  lua_pushnil(lua);
  while (lua_next(lua, -2) != 0) {
    lua_pop(lua, 1);
    ++shape.pairs;
    const bool counts = lua_type(lua, -1) == LUA_TNUMBER && lua_tonumber(lua, -1) > 0 &&
                        IsInteger(lua_tonumber(lua, -1));
    shape.is_array = shape.is_array && counts;
    if (counts) {
      highest = std::fmax(highest, lua_tonumber(lua, -1));
    }
  }
  shape.is_array = shape.is_array && highest == static_cast<lua_Number>(shape.pairs);
  return shape;
}

void PackTop(lua_State* lua, LuaRun* run, int level);

void PackTable(lua_State* lua, LuaRun* run, int level) {
  const TableShape shape = ShapeOf(lua);
  if (shape.is_array) {
    AppendCount(&run->text, kArrayTags, shape.pairs);
    for (size_t i = 1; i <= shape.pairs; ++i) {
      lua_rawgeti(lua, -1, static_cast<int>(i));
      PackTop(lua, run, level + 1);
    }
    return;
  }
  AppendCount(&run->text, kMapTags, shape.pairs);
  lua_pushnil(lua);
  while (lua_next(lua, -2) != 0) {
    lua_pushvalue(lua, -2);
    PackTop(lua, run, level + 1);
    PackTop(lua, run, level + 1);
  }
}

// Packs the value on the top and takes it off.
void PackTop(lua_State* lua, LuaRun* run, int level) {
  constexpr int kSlots = 5;
  std::string* out = &run->text;
  CheckBuilt(lua, *run, out->size());
  luaL_checkstack(lua, kSlots, "in function mp_encode_lua_type");
  switch (lua_type(lua, -1)) {
    case LUA_TSTRING: {
      const std::string_view text = TextAt(lua, -1);
      AppendCount(out, kStringTags, text.size());
      out->append(text);
      break;
    }
    case LUA_TBOOLEAN:
      AppendByte(out, lua_toboolean(lua, -1) != 0 ? 0xc3 : 0xc2);
      break;
    case LUA_TNUMBER:
      AppendNumber(out, lua_tonumber(lua, -1));
      break;
    case LUA_TTABLE:
      if (level < kMaxNesting) {
        PackTable(lua, run, level);
        break;
      }
      [[fallthrough]];
    default:
      AppendByte(out, 0xc0);
      break;
  }
  lua_pop(lua, 1);
}

int Pack(lua_State* lua) {
  const int count = lua_gettop(lua);
  if (count == 0) {
    return luaL_argerror(lua, 0, "MessagePack pack needs input.");
  }
  LuaRun* run = RunOf(lua);
  std::string* out = &run->text;
  out->clear();
  for (int i = 1; i <= count; ++i) {
    luaL_checkstack(lua, 1, "in function MessagePack check");
    lua_pushvalue(lua, i);
    PackTop(lua, run, 0);
  }
  PushText(lua, *out);
  if (out->capacity() > size_t{1} << 20) {
    std::string().swap(*out);
  }
  return 1;
}

// What is still to be unpacked.  Raises errors.
struct Unpacker {
  lua_State* lua;
  std::string_view rest;
  int depth = 0;

  std::string_view Take(size_t size) {
    if (size > rest.size()) {
      luaL_error(lua, "Missing bytes in input.");
    }
    const std::string_view bytes = rest.substr(0, size);
    rest.remove_prefix(size);
    return bytes;
  }
  uint64_t TakeBigEndian(size_t size) {
    uint64_t value = 0;
    for (const char c : Take(size)) {
      value = (value << 8) | static_cast<unsigned char>(c);
    }
    return value;
  }

  void PushSigned(size_t size) {
    const uint64_t bits = TakeBigEndian(size) << (64 - 8 * size);
    lua_pushnumber(lua, static_cast<lua_Number>(static_cast<int64_t>(bits) >>
                                                (64 - 8 * static_cast<int>(size))));
  }
  void PushUnsigned(size_t size) {
    lua_pushnumber(lua, static_cast<lua_Number>(TakeBigEndian(size)));
  }
  void PushBytes(size_t size) { PushText(lua, Take(size)); }

  void PushArray(size_t count) {
    lua_newtable(lua);  // The count may be a lie.
    for (size_t i = 1; i <= count; ++i) {
      PushNext();
      lua_rawseti(lua, -2, static_cast<int>(i));
    }
  }
  void PushMap(size_t count) {
    lua_newtable(lua);
    for (size_t i = 0; i < count; ++i) {
      PushNext();
      PushNext();
      lua_settable(lua, -3);
    }
  }

  void PushNext() {
    constexpr int kSlots = 4;
    luaL_checkstack(lua, kSlots, "in function mp_decode_to_lua_type");
    if (++depth > kMaxDepth) {  // The processor's stack ends before Lua's.
      luaL_error(lua, "stack overflow (in function mp_decode_to_lua_type)");
    }
    PushTag();
    --depth;
  }

  void PushTag() {
    const auto tag = static_cast<unsigned char>(Take(1).front());
    if (tag <= 0x7f) {
      return lua_pushinteger(lua, tag);
    }
    if (tag >= 0xe0) {
      return lua_pushinteger(lua, static_cast<signed char>(tag));
    }
    if (tag <= 0x8f) {
      return PushMap(tag & 0x0fu);
    }
    if (tag <= 0x9f) {
      return PushArray(tag & 0x0fu);
    }
    if (tag <= 0xbf) {
      return PushBytes(tag & 0x1fu);
    }
    PushTagged(tag);
  }

  void PushTagged(unsigned char tag) {
    switch (tag) {
      case 0xc0:
        return lua_pushnil(lua);
      case 0xc2:
      case 0xc3:
        return lua_pushboolean(lua, tag == 0xc3 ? 1 : 0);
      case 0xca:
        return lua_pushnumber(
            lua, std::bit_cast<float>(static_cast<uint32_t>(TakeBigEndian(sizeof(float)))));
      case 0xcb:
        return lua_pushnumber(lua, std::bit_cast<double>(TakeBigEndian(sizeof(double))));
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return PushUnsigned(size_t{1} << (tag - 0xcc));
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return PushSigned(size_t{1} << (tag - 0xd0));
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return PushBytes(TakeBigEndian(size_t{1} << (tag - 0xc4)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return PushBytes(TakeBigEndian(size_t{1} << (tag - 0xd9)));
      case 0xdc:
      case 0xdd:
        return PushArray(TakeBigEndian(size_t{2} << (tag - 0xdc)));
      case 0xde:
      case 0xdf:
        return PushMap(TakeBigEndian(size_t{2} << (tag - 0xde)));
      default:
        luaL_error(lua, "Bad data format in input.");
    }
  }
};

// Unpacks up to `limit` values from `offset` on, of the only argument.  With a limit, where it went
// on is the first result; -1: nowhere.
int UnpackFrom(lua_State* lua, lua_Integer limit, lua_Integer offset, bool all) {
  const std::string_view input = {luaL_checkstring(lua, 1), TextAt(lua, 1).size()};
  if (offset < 0 || limit < 0) {
    return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.",
                      static_cast<int>(offset), static_cast<int>(input.size()));
  }
  if (static_cast<size_t>(offset) > input.size()) {
    return luaL_error(lua, "Start offset %d greater than input length %d.",
                      static_cast<int>(offset), static_cast<int>(input.size()));
  }
  Unpacker unpacker{lua, input.substr(static_cast<size_t>(offset))};
  int count = 0;
  for (; !unpacker.rest.empty() && (all || count < limit); ++count) {
    unpacker.PushNext();
  }
  if (!all) {
    luaL_checkstack(lua, 1, "in function mp_unpack_full");
    lua_pushinteger(lua, unpacker.rest.empty()
                             ? -1
                             : static_cast<lua_Integer>(input.size() - unpacker.rest.size()));
    lua_insert(lua, 2);
    ++count;
  }
  return count;
}

int Unpack(lua_State* lua) {
  lua_settop(lua, 1);
  return UnpackFrom(lua, 0, 0, true);
}

int UnpackOne(lua_State* lua) {
  const lua_Integer offset = luaL_optinteger(lua, 2, 0);
  lua_settop(lua, 1);
  return UnpackFrom(lua, 1, offset, false);
}

int UnpackLimit(lua_State* lua) {
  const lua_Integer limit = luaL_checkinteger(lua, 2);
  const lua_Integer offset = luaL_optinteger(lua, 3, 0);
  lua_settop(lua, 1);
  return UnpackFrom(lua, limit, offset, false);
}

}  // namespace

void PushMsgpackLibrary(lua_State* lua) {
  constexpr luaL_Reg kFunctions[] = {
      {"pack", Pack}, {"unpack", Unpack}, {"unpack_one", UnpackOne}, {"unpack_limit", UnpackLimit}};
  lua_newtable(lua);
  for (const luaL_Reg& function : kFunctions) {
    lua_pushcfunction(lua, function.func);
    lua_setfield(lua, -2, function.name);
  }
  lua_pushliteral(lua, "cmsgpack");
  lua_setfield(lua, -2, "_NAME");
}

}  // namespace kvs
