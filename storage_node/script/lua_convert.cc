// Between replies and Lua values, as Redis converts them.

#include <charconv>
#include <cmath>
#include <limits>

#include "common/resp/resp_writer.h"
#include "storage_node/script/lua_state.h"

namespace kvs {
namespace {

// A reply of a node's own, well formed.
class ReplyReader {
 public:
  explicit ReplyReader(std::string_view rest) : rest_(rest) {}

  char Type() {
    const char type = rest_.front();
    rest_.remove_prefix(1);
    return type;
  }
  std::string_view Line() {
    const size_t end = rest_.find("\r\n");
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 2);
    return line;
  }
  int64_t Number() {
    const std::string_view line = Line();
    int64_t value = 0;
    std::from_chars(line.data(), line.data() + line.size(), value);
    return value;
  }
  std::string_view Bytes(size_t size) {
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size + 2);
    return bytes;
  }

 private:
  std::string_view rest_;
};

void PushNext(lua_State* lua, ReplyReader* reader);

void PushElements(lua_State* lua, ReplyReader* reader, int64_t count) {
  lua_createtable(lua, static_cast<int>(count), 0);
  for (int64_t i = 1; i <= count; ++i) {
    PushNext(lua, reader);
    lua_rawseti(lua, -2, static_cast<int>(i));
  }
}

// {map={...}}
void PushMap(lua_State* lua, ReplyReader* reader) {
  const int64_t count = reader->Number();
  lua_createtable(lua, 0, 1);
  lua_createtable(lua, 0, static_cast<int>(count));
  for (int64_t i = 0; i < count; ++i) {
    PushNext(lua, reader);
    PushNext(lua, reader);
    lua_rawset(lua, -3);
  }
  lua_setfield(lua, -2, "map");
}

// {set={member=true, ...}}
void PushSet(lua_State* lua, ReplyReader* reader) {
  const int64_t count = reader->Number();
  lua_createtable(lua, 0, 1);
  lua_createtable(lua, 0, static_cast<int>(count));
  for (int64_t i = 0; i < count; ++i) {
    PushNext(lua, reader);
    lua_pushboolean(lua, 1);
    lua_rawset(lua, -3);
  }
  lua_setfield(lua, -2, "set");
}

void PushField(lua_State* lua, const char* name, std::string_view text) {
  lua_createtable(lua, 0, 1);
  PushText(lua, text);
  lua_setfield(lua, -2, name);
}

void PushDouble(lua_State* lua, std::string_view text) {
  double value = 0;
  if (text == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    std::from_chars(text.data(), text.data() + text.size(), value);
  }
  lua_createtable(lua, 0, 1);
  lua_pushnumber(lua, value);
  lua_setfield(lua, -2, "double");
}

// {verbatim_string={format=, string=}}
void PushVerbatim(lua_State* lua, ReplyReader* reader) {
  constexpr size_t kFormatSize = 3;
  const std::string_view bytes = reader->Bytes(static_cast<size_t>(reader->Number()));
  lua_createtable(lua, 0, 1);
  lua_createtable(lua, 0, 2);
  PushText(lua, bytes.substr(0, kFormatSize));
  lua_setfield(lua, -2, "format");
  PushText(lua, bytes.substr(kFormatSize + 1));
  lua_setfield(lua, -2, "string");
  lua_setfield(lua, -2, "verbatim_string");
}

void PushNext(lua_State* lua, ReplyReader* reader) {
  constexpr int kSlots = 6;
  luaL_checkstack(lua, kSlots, "the reply is nested too deeply");
  switch (reader->Type()) {
    case '+':
      return PushField(lua, "ok", reader->Line());
    case '-':
      return PushError(lua, reader->Line());
    case ':':
      return lua_pushnumber(lua, static_cast<lua_Number>(reader->Number()));
    case '$': {
      const int64_t size = reader->Number();
      return size < 0 ? lua_pushboolean(lua, 0)
                      : PushText(lua, reader->Bytes(static_cast<size_t>(size)));
    }
    case '*':
    case '>': {
      const int64_t count = reader->Number();
      return count < 0 ? lua_pushboolean(lua, 0) : PushElements(lua, reader, count);
    }
    case '%':
      return PushMap(lua, reader);
    case '~':
      return PushSet(lua, reader);
    case '#':
      return lua_pushboolean(lua, reader->Line() == "t" ? 1 : 0);
    case ',':
      return PushDouble(lua, reader->Line());
    case '(':
      return PushField(lua, "big_number", reader->Line());
    case '=':
      return PushVerbatim(lua, reader);
    default:  // '_'
      (void)reader->Line();
      return lua_pushnil(lua);
  }
}

// Pushes a field of the table on the top, around metamethods.
int PushRaw(lua_State* lua, const char* name) {
  lua_pushstring(lua, name);
  lua_rawget(lua, -2);
  return lua_type(lua, -1);
}

class ValueWriter {
 public:
  ValueWriter(lua_State* lua, int protocol, std::string* out)
      : lua_(lua), run_(RunOf(lua)), begin_(out->size()), reply_(protocol, out) {}

  // Writes the value on the top, which stays there.
  void Write() {
    constexpr int kSlots = 6;
    CheckBuilt(lua_, *run_, reply_.out()->size() - begin_);
    if (lua_checkstack(lua_, kSlots) == 0) {
      return reply_.Error("ERR reached lua stack limit");
    }
    switch (lua_type(lua_, -1)) {
      case LUA_TSTRING:
        return reply_.Bulk(TextAt(lua_, -1));
      case LUA_TBOOLEAN:
        return WriteBoolean(lua_toboolean(lua_, -1) != 0);
      case LUA_TNUMBER:
        return reply_.Integer(ToInteger(lua_tonumber(lua_, -1)));
      case LUA_TTABLE:
        return WriteTable();
      default:
        return reply_.Null();
    }
  }

 private:
  // As the conversion of the processors that Redis runs on: what does not fit is the smallest.
  static int64_t ToInteger(lua_Number number) {
    constexpr double kLimit = 9223372036854775808.0;
    return number >= -kLimit && number < kLimit ? static_cast<int64_t>(number)
                                                : std::numeric_limits<int64_t>::min();
  }

  void WriteBoolean(bool value) {
    if (run_->protocol == 3) {
      reply_.Boolean(value);
    } else if (value) {
      reply_.Integer(1);
    } else {
      reply_.Null();
    }
  }

  void WriteTable() {
    if (!WriteText() && !WriteDouble() && !WritePairs() && !WriteVerbatim()) {
      WriteArray();
    }
  }

  // {err=}, {ok=}, {big_number=}
  bool WriteText() {
    bool written = true;
    if (PushRaw(lua_, "err") == LUA_TSTRING) {
      reply_.Error(TextAt(lua_, -1));
    } else if (lua_pop(lua_, 1); PushRaw(lua_, "ok") == LUA_TSTRING) {
      WriteSimple(TextAt(lua_, -1));
    } else if (lua_pop(lua_, 1); PushRaw(lua_, "big_number") == LUA_TSTRING) {
      WriteBigNumber(TextAt(lua_, -1));
    } else {
      written = false;
    }
    lua_pop(lua_, 1);
    return written;
  }

  // Line breaks would end the reply.
  void WriteSimple(std::string_view text) {
    std::string* out = reply_.out();
    const size_t begin = out->size() + 1;
    out->append("+").append(text);
    Unbreak(begin);
    out->append("\r\n");
  }

  void WriteBigNumber(std::string_view text) {
    std::string* out = reply_.out();
    if (reply_.protocol() == 2) {
      return reply_.Bulk(text);
    }
    const size_t begin = out->size() + 1;
    out->append("(").append(text);
    Unbreak(begin);
    out->append("\r\n");
  }

  void Unbreak(size_t begin) {
    for (size_t i = begin; i < reply_.out()->size(); ++i) {
      char* c = &(*reply_.out())[i];
      *c = *c == '\r' || *c == '\n' ? ' ' : *c;
    }
  }

  bool WriteDouble() {
    const bool is = PushRaw(lua_, "double") == LUA_TNUMBER;
    if (is) {
      reply_.Score(lua_tonumber(lua_, -1));
    }
    lua_pop(lua_, 1);
    return is;
  }

  // {map=} and {set=}
  bool WritePairs() {
    const bool map = PushRaw(lua_, "map") == LUA_TTABLE;
    if (!map) {
      lua_pop(lua_, 1);
      if (PushRaw(lua_, "set") != LUA_TTABLE) {
        lua_pop(lua_, 1);
        return false;
      }
    }
    size_t count = 0;
    for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; ++count) {
      lua_pop(lua_, 1);
    }
    map ? reply_.Map(count) : reply_.Set(count);
    lua_pushnil(lua_);
    while (lua_next(lua_, -2) != 0) {
      lua_pushvalue(lua_, -2);
      Write();
      lua_pop(lua_, 1);
      if (map) {
        Write();
      }
      lua_pop(lua_, 1);
    }
    lua_pop(lua_, 1);
    return true;
  }

  bool WriteVerbatim() {
    bool written = false;
    if (PushRaw(lua_, "verbatim_string") == LUA_TTABLE) {
      const bool has_text = PushRaw(lua_, "string") == LUA_TSTRING;
      lua_insert(lua_, -2);
      const bool has_format = PushRaw(lua_, "format") == LUA_TSTRING;
      if (has_text && has_format) {
        std::string_view format = TextAt(lua_, -1);
        reply_.Verbatim(format.size() == 3 ? format : std::string_view("txt"), TextAt(lua_, -3));
        written = true;
      }
      lua_pop(lua_, 2);
    }
    lua_pop(lua_, 1);
    return written;
  }

  // Up to the first element that is nil.
  void WriteArray() {
    int count = 0;
    for (;; ++count) {
      lua_rawgeti(lua_, -1, count + 1);
      const bool ends = lua_isnil(lua_, -1);
      lua_pop(lua_, 1);
      if (ends) {
        break;
      }
    }
    reply_.Array(static_cast<size_t>(count));
    for (int i = 1; i <= count; ++i) {
      lua_rawgeti(lua_, -1, i);
      Write();
      lua_pop(lua_, 1);
    }
  }

  lua_State* const lua_;
  const LuaRun* const run_;
  const size_t begin_;
  RespWriter reply_;
};

}  // namespace

void PushReply(lua_State* lua, std::string_view reply) {
  ReplyReader reader(reply);
  PushNext(lua, &reader);
}

void WriteValue(lua_State* lua, int protocol, std::string* out) {
  ValueWriter(lua, protocol, out).Write();
  lua_pop(lua, 1);
}

}  // namespace kvs
