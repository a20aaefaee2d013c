#include "storage_node/script/interpreter.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

constexpr size_t kMemory = size_t{64} << 20;

// Notes what is called, and answers what it is told to.
class TestHost : public ScriptHost {
 public:
  bool Call(CommandArgs args, int protocol, std::string* reply) override {
    std::string line;
    for (const std::string_view arg : args) {
      line += (line.empty() ? "" : " ") + std::string(arg);
    }
    calls.push_back(line);
    if (line == "stop") {
      return false;
    }
    if (answer.empty()) {
      RespWriter(protocol, reply).Bulk(line);
    } else {
      *reply += answer;
    }
    return true;
  }
  bool MayGoOn() override { return ++looks <= max_looks; }
  Result<bool> MayRun(CommandArgs args) override {
    if (args[0] == "nosuch") {
      return Status::NotFound();
    }
    return args[0] != "forbidden";
  }

  std::vector<std::string> calls;
  std::string answer;
  int looks = 0;
  int max_looks = 1'000'000;
};

class InterpreterTest : public testing::Test {
 protected:
  std::string Run(std::string_view code, int protocol = 2) {
    const Result<ScriptPtr> script = MakeScript(code);
    EXPECT_TRUE(script.ok());
    const std::vector<std::string_view> keys = {"key1", "key2"};
    const std::vector<std::string_view> args = {"arg1"};
    std::string reply;
    end_ = interpreter_.Run(
        {.script = script->get(), .keys = keys, .args = args, .protocol = protocol, .host = &host_},
        &reply);
    return reply;
  }
  // The error of a script, without what tells where it was.
  std::string ErrorOf(std::string_view code) {
    std::string reply = Run(code);
    EXPECT_EQ(end_, Interpreter::End::kFailed) << reply;
    return reply.substr(0, std::min(reply.find(" script: "), reply.find("\r\n")));
  }

  TestHost host_;
  Interpreter interpreter_{kMemory};
  Interpreter::End end_ = Interpreter::End::kReplied;
};

TEST_F(InterpreterTest, ValuesBecomeReplies) {
  EXPECT_EQ(Run("return 1"), ":1\r\n");
  EXPECT_EQ(Run("return 3.99"), ":3\r\n");
  EXPECT_EQ(Run("return 'x'"), "$1\r\nx\r\n");
  EXPECT_EQ(Run("return true"), ":1\r\n");
  EXPECT_EQ(Run("return false"), "$-1\r\n");
  EXPECT_EQ(Run("return nil"), "$-1\r\n");
  EXPECT_EQ(Run("return"), "$-1\r\n");
  EXPECT_EQ(Run("return {1,{'a'},nil,3}"), "*2\r\n:1\r\n*1\r\n$1\r\na\r\n");
  EXPECT_EQ(Run("return {ok='fine'}"), "+fine\r\n");
  EXPECT_EQ(Run("return {err='MY error'}"), "-MY error\r\n");
  EXPECT_EQ(Run("return {double=3.5}"), "$3\r\n3.5\r\n");
  EXPECT_EQ(Run("return {double=3.5}", 3), ",3.5\r\n");
  EXPECT_EQ(Run("return {map={a=1}}", 3), "%1\r\n$1\r\na\r\n:1\r\n");
  EXPECT_EQ(Run("return {set={a=true}}", 3), "~1\r\n$1\r\na\r\n");
  EXPECT_EQ(Run("return {big_number='12'}", 3), "(12\r\n");
  EXPECT_EQ(Run("return {verbatim_string={format='mkd',string='x'}}", 3), "=5\r\nmkd:x\r\n");
  EXPECT_EQ(Run("redis.setresp(3) return true", 3), "#t\r\n");
  EXPECT_EQ(Run("return KEYS[2]..ARGV[1]..#KEYS..#ARGV"), "$10\r\nkey2arg121\r\n");
}

TEST_F(InterpreterTest, RepliesBecomeValues) {
  host_.answer = "*4\r\n:5\r\n$-1\r\n+OK\r\n$1\r\nx\r\n";
  EXPECT_EQ(Run("local t = redis.call('c') return {t[1], type(t[2]), t[3].ok, t[4]}"),
            "*4\r\n:5\r\n$7\r\nboolean\r\n$2\r\nOK\r\n$1\r\nx\r\n");
  host_.answer = "%1\r\n$1\r\na\r\n~1\r\n:7\r\n";
  EXPECT_EQ(Run("redis.setresp(3) local t = redis.call('c') return tostring(t.map.a.set[7])"),
            "$4\r\ntrue\r\n");
  host_.answer = "_\r\n";
  EXPECT_EQ(Run("redis.setresp(3) return type(redis.call('c'))"), "$3\r\nnil\r\n");
  host_.answer = ",1.5\r\n";
  EXPECT_EQ(Run("redis.setresp(3) return tostring(redis.call('c').double)"), "$3\r\n1.5\r\n");
  host_.answer = "=5\r\ntxt:x\r\n";
  EXPECT_EQ(Run("local v = redis.call('c').verbatim_string return v.format..v.string"),
            "$4\r\ntxtx\r\n");
  host_.answer = "-ERR no\r\n";
  EXPECT_EQ(Run("return redis.pcall('c')"), "-ERR no\r\n");
  EXPECT_EQ(Run("return redis.pcall('c').err"), "$6\r\nERR no\r\n");
  EXPECT_EQ(ErrorOf("return redis.call('c')"), "-ERR no");
  EXPECT_EQ(Run("local ok, text = pcall(redis.call, 'c') return {tostring(ok), text}"),
            "*2\r\n$5\r\nfalse\r\n$6\r\nERR no\r\n");
}

TEST_F(InterpreterTest, CommandsAreCalledWithTextsAndNumbers) {
  Run("redis.call('a', 1, 1.5, 1e20, 'x\\0y')");
  ASSERT_EQ(host_.calls.size(), 1U);
  EXPECT_EQ(host_.calls[0], std::string("a 1 1.5 1e+20 x\0y", 17));
  EXPECT_EQ(ErrorOf("redis.call({})"),
            "-ERR Lua redis lib command arguments must be strings or integers");
  EXPECT_EQ(ErrorOf("redis.call()"),
            "-ERR Please specify at least one argument for this redis lib call");
  EXPECT_EQ(host_.calls.size(), 1U);
}

TEST_F(InterpreterTest, ErrorsTellWhereTheyWere) {
  const std::string reply = Run("\n\nlocal x = nil\nreturn x.y");
  EXPECT_TRUE(
      reply.starts_with("-ERR user_script:4: attempt to index local 'x' (a nil value) "
                        "script: "))
      << reply;
  EXPECT_TRUE(reply.ends_with(", on @user_script:4.\r\n")) << reply;
  EXPECT_EQ(ErrorOf("error()"), "-ERR nil");
  EXPECT_EQ(ErrorOf("error({})"), "-ERR unknown error");
  EXPECT_EQ(ErrorOf("error({err='E x'})"), "-E x");
  EXPECT_EQ(ErrorOf("error(redis)"), "-ERR table");
  EXPECT_EQ(ErrorOf("retrn 1"),
            "-ERR Error compiling script (new function): user_script:1: '=' expected near '1'");
  EXPECT_EQ(Run("local t = {} t[1] = t return t").substr(0, 12), "*1\r\n*1\r\n*1\r\n");
}

TEST_F(InterpreterTest, NothingOfTheProcessIsThere) {
  for (const char* name : {"io", "require", "package", "debug", "dofile", "loadfile", "print",
                           "getfenv", "setfenv", "newproxy", "module", "x"}) {
    EXPECT_EQ(ErrorOf("return " + std::string(name)),
              "-ERR user_script:1: Script attempted to access nonexistent global variable '" +
                  std::string(name) + "'");
  }
  EXPECT_EQ(Run("local n = 0 for k in pairs(os) do n = n + 1 end return n"), ":1\r\n");
  EXPECT_EQ(Run("return loadstring(string.dump(function() return 1 end))"), "$-1\r\n");
  EXPECT_EQ(Run("local n = 0 return load(function() n = n + 1 return n == 1 and "
                "string.dump(function() end) or nil end)"),
            "$-1\r\n");
  EXPECT_EQ(Run("local p = {'return ', '7'} return load(function() return table.remove(p, 1) "
                "end)()"),
            ":7\r\n");
  EXPECT_EQ(ErrorOf("\x1bLua"),
            "-ERR Error compiling script (new function): user_script: bytecode is not allowed");
  EXPECT_EQ(Run("return loadstring('return 5')()"), ":5\r\n");
  EXPECT_EQ(ErrorOf("return loadstring('return io')()"),
            "-ERR [string \"return io\"]:1: Script attempted to access nonexistent global variable "
            "'io'");
  EXPECT_EQ(ErrorOf("loadstring('y = 1')()"),
            "-ERR [string \"y = 1\"]:1: Attempt to modify a readonly table");
  EXPECT_EQ(ErrorOf("coroutine.wrap(function() return io end)()"),
            "-ERR user_script:1: user_script:1: Script attempted to access nonexistent global "
            "variable 'io'");
}

// What one script does to the libraries, another would see.
TEST_F(InterpreterTest, NoScriptChangesWhatOthersSee) {
  constexpr const char* kAttempts[] = {
      "x = 1",
      "_G.x = 1",
      "rawset(_G, 'x', 1)",
      "KEYS = 1",
      "setmetatable(_G, {})",
      "string.format = 1",
      "rawset(string, 'format', 1)",
      "redis.call = 1",
      "cjson.encode = 1",
      "table.insert(redis, 1)",
      "table.insert(string, 1, 'x')",
      "table.sort(math)",
      "getmetatable('').__index = {}",
      "getmetatable('').__index.format = 1",
      "getmetatable(_G).__index = {}",
      "getmetatable(redis).__index = {}",
      "setmetatable(getmetatable(''), {})",
      "local f, t = pairs(string) t.format = 1",
      "cjson.new().encode = 1",
  };
  for (const char* attempt : kAttempts) {
    const std::string reply = Run(attempt);
    EXPECT_EQ(end_, Interpreter::End::kFailed) << attempt << ": " << reply;
    EXPECT_NE(reply.find("Attempt to modify a readonly table"), std::string::npos)
        << attempt << ": " << reply;
  }
  for (const char* attempt :
       {"for k, v in pairs(_G) do pcall(rawset, v, 'hole', 1) end",
        "local k, v = next(redis) pcall(rawset, redis, k, 1)", "collectgarbage('stop')",
        "KEYS[9] = 'x' ARGV.y = 1", "pcall(error, redis)"}) {
    (void)Run(attempt);
  }
  EXPECT_EQ(Run("return {type(string.format), ('x'):rep(2), type(redis.call), #KEYS, "
                "type(cjson.encode), type(rawget(string, 'hole')), type(KEYS[9])}"),
            "*7\r\n$8\r\nfunction\r\n$2\r\nxx\r\n$8\r\nfunction\r\n:2\r\n$8\r\nfunction\r\n"
            "$3\r\nnil\r\n$3\r\nnil\r\n");
  EXPECT_EQ(Run("local n = 0 for k in pairs(redis) do n = n + 1 end return n > 10"), ":1\r\n");
}

TEST_F(InterpreterTest, AScriptIsStoppedWhereverItIs) {
  for (const char* code :
       {"while true do end", "while true do pcall(function() while true do end end) end",
        "local function f() local ok = pcall(f) return f() end f()",
        "local co = coroutine.wrap(function() while true do end end) while true do pcall(co) end",
        "xpcall(function() while true do end end, function() while true do end end)",
        "table.sort({3, 2, 1}, function() while true do end end)",
        "('x'):gsub('.', function() while true do end end)",
        "setmetatable({}, {__index = function() while true do end end}).x()",
        "while true do coroutine.wrap(function() for i = 1, 100 do end end)() end",
        "local s = string.rep('x', 1e5) while true do local t = s .. 'y' end"}) {
    SCOPED_TRACE(code);
    host_.looks = 0;
    host_.max_looks = 3;
    EXPECT_EQ(Run(code), "") << code;
    EXPECT_EQ(end_, Interpreter::End::kStopped) << code;
  }
  host_.max_looks = 1'000'000;
  EXPECT_EQ(Run("while true do redis.pcall('stop') end"), "");
  EXPECT_EQ(end_, Interpreter::End::kStopped);
  EXPECT_EQ(Run("return 1"), ":1\r\n");
}

TEST_F(InterpreterTest, ErrorsAreCaught) {
  EXPECT_EQ(Run("return {pcall(function() return 1, 2 end)}"), "*3\r\n:1\r\n:1\r\n:2\r\n");
  EXPECT_EQ(Run("local ok, e = pcall(error, 'x', 0) return e"), "$1\r\nx\r\n");
  EXPECT_EQ(Run("return {xpcall(function() return 1, 2 end, error)}"), "*3\r\n:1\r\n:1\r\n:2\r\n");
  EXPECT_EQ(Run("local ok, e = xpcall(function() error('x', 0) end, function(e) return e .. 'y' "
                "end) return {tostring(ok), e}"),
            "*2\r\n$5\r\nfalse\r\n$2\r\nxy\r\n");
  EXPECT_EQ(Run("local ok, e = xpcall(function() error('x', 0) end, function(e) error('z', 0) end) "
                "return {tostring(ok), e}"),
            "*2\r\n$5\r\nfalse\r\n$1\r\nz\r\n");
}

TEST_F(InterpreterTest, MemoryHasALimitAndComesBack) {
  for (const char* code :
       {"return string.rep('x', 1e9)", "return string.rep('xx', 2^31 - 1)",
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "local s = string.rep('x', 1e6) local t = {} for i = 1, 1000 do t[i] = s end return t",
        "local s = string.rep('x', 1e6) local t = {} for i = 1, 1000 do t[i] = s end return "
        "cjson.encode(t)",
        "local s = string.rep('x', 1e6) local t = {} for i = 1, 1000 do t[i] = s end return "
        "cmsgpack.pack(t)",
        "local s = string.rep('x', 1e6) return cmsgpack.pack(s, unpack({s, s, s, s, s, s, s, s, s, "
        "s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, "
        "s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, "
        "s}))"}) {
    const std::string reply = Run(code);
    EXPECT_EQ(end_, Interpreter::End::kFailed) << code;
    EXPECT_NE(reply.find("not enough memory"), std::string::npos) << reply.substr(0, 200);
    EXPECT_LT(interpreter_.memory(), size_t{17} << 20) << code;
  }
  EXPECT_EQ(Run("return ('ab'):rep(3)"), "$6\r\nababab\r\n");
}

TEST_F(InterpreterTest, JsonThatWouldBeTooLargeIsRefusedAtOnce) {
  for (const char* code :
       {"local k = string.rep('x', 1e6) local t = {} for i = 1, 1000 do t[i] = {[k] = 1} end "
        "return "
        "cjson.encode(t)",
        "cjson.encode_sparse_array(false, 0, 0) return cjson.encode({[1e9] = 1})",
        "local t = {} t[1] = t t[2] = t return cjson.encode(t)",
        "local t = {1} for i = 1, 100 do t = {t, t} end return cjson.encode(t)"}) {
    const std::string reply = Run(code);
    EXPECT_EQ(end_, Interpreter::End::kFailed) << code;
    EXPECT_NE(reply.find("not enough memory"), std::string::npos) << reply.substr(0, 200);
  }
  EXPECT_NE(ErrorOf("cjson.encode_max_depth(5000)"), "");
  EXPECT_EQ(Run("return cjson.encode({1, nil, 3})"), "$10\r\n[1,null,3]\r\n");
  EXPECT_EQ(Run("return cjson.encode_keep_buffer(true)"), "$-1\r\n");
}

TEST_F(InterpreterTest, RepliesMayBeNestedDeeply) {
  const std::string reply =
      Run("local t = {string.rep('x', 1e7)} for i = 1, 1000 do t = {t} end return t");
  EXPECT_EQ(reply.size(), 4 * 1001 + 11 + 1e7 + 2);
}

TEST_F(InterpreterTest, LargeScriptsMakeRoomForOthers) {
  for (int i = 0; i < 20; ++i) {
    std::string code = "local s = '";
    code.resize(code.size() + 10'000'000, static_cast<char>('a' + i));
    code += "' return #s";
    ASSERT_EQ(Run(code), ":10000000\r\n") << i;
  }
  EXPECT_EQ(Run("return 1"), ":1\r\n");
}

TEST_F(InterpreterTest, RandomNumbersAreThoseOfLrand48) {
  const std::string first = Run("return tostring(math.random()) .. tostring(math.random())");
  EXPECT_EQ(first, "$32\r\n0.396464773638390.84048536971234\r\n");
  EXPECT_NE(Run("return tostring(math.random()) .. tostring(math.random())"), first);
  EXPECT_EQ(Run("math.randomseed(5) return tostring(math.random(100))..math.random(5,10)"),
            "$3\r\n536\r\n");
  EXPECT_EQ(ErrorOf("return math.random(0)"),
            "-ERR user_script:1: bad argument #1 to 'random' (interval is empty)");
}

TEST_F(InterpreterTest, TheRedisLibraryBehavesAsRedis) {
  EXPECT_EQ(Run("return redis.error_reply('MY error')"), "-MY error\r\n");
  EXPECT_EQ(Run("return redis.error_reply('-MY error')"), "-MY error\r\n");
  EXPECT_EQ(Run("return redis.error_reply('oops')"), "-ERR oops\r\n");
  EXPECT_EQ(Run("return redis.error_reply(1)"), "-ERR wrong number or type of arguments\r\n");
  EXPECT_EQ(Run("return redis.status_reply('fine')"), "+fine\r\n");
  EXPECT_EQ(Run("return redis.sha1hex('')"), "$40\r\nda39a3ee5e6b4b0d3255bfef95601890afd80709\r\n");
  EXPECT_EQ(Run("return redis.acl_check_cmd('get', 'a')"), ":1\r\n");
  EXPECT_EQ(Run("return redis.acl_check_cmd('forbidden')"), "$-1\r\n");
  EXPECT_EQ(ErrorOf("return redis.acl_check_cmd('nosuch')"),
            "-ERR Invalid command passed to redis.acl_check_cmd()");
  EXPECT_EQ(ErrorOf("redis.setresp(4)"), "-ERR RESP version must be 2 or 3.");
  EXPECT_EQ(ErrorOf("redis.log(9, 'x')"), "-ERR Invalid debug level.");
}

TEST_F(InterpreterTest, MessagesArePackedAndUnpacked) {
  constexpr const char* kValues =
      "local v = {0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, -1, -32, -33, -128, "
      "-129, -32768, -32769, -2147483648, -2147483649, 1.5, 0.1, 'x', string.rep('y', 31), "
      "string.rep('y', 32), string.rep('y', 255), string.rep('y', 256), string.rep('y', 65536), "
      "true, false, {}, {1, 2, 3}, {a = 1, b = {2}}} ";
  EXPECT_EQ(Run(std::string(kValues) +
                "local u = cmsgpack.unpack(cmsgpack.pack(v)) "
                "local function same(a, b) if type(a) ~= 'table' then return a == b end "
                "for k, x in pairs(a) do if not same(x, b[k]) then return false end end "
                "return #a == #b end "
                "for i = 1, #v do if not same(v[i], u[i]) then return i end end return #u"),
            ":31\r\n");
  EXPECT_EQ(Run("return cmsgpack.pack({1, 2, 'a'})"),
            "$5\r\n\x93\x01\x02\xa1"
            "a\r\n");
  EXPECT_EQ(Run("return {cmsgpack.unpack_one(cmsgpack.pack(1, 2))}"), "*2\r\n:1\r\n:1\r\n");
  EXPECT_EQ(Run("return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2, 1)}"),
            "*3\r\n:-1\r\n:2\r\n:3\r\n");
  EXPECT_EQ(ErrorOf("return cmsgpack.unpack('\\146\\1')"),
            "-ERR user_script:1: Missing bytes in input.");
  EXPECT_EQ(ErrorOf("return cmsgpack.unpack('\\193')"),
            "-ERR user_script:1: Bad data format in input.");
  EXPECT_EQ(ErrorOf("return cmsgpack.unpack(string.rep('\\145', 100000))"),
            "-ERR user_script:1: stack overflow (in function mp_decode_to_lua_type)");
  EXPECT_EQ(ErrorOf("return cmsgpack.unpack('\\221\\255\\255\\255\\255')"),
            "-ERR user_script:1: Missing bytes in input.");
}

TEST_F(InterpreterTest, StructuresArePackedAndUnpacked) {
  EXPECT_EQ(Run("return struct.pack('>I4', 5)"), std::string("$4\r\n\0\0\0\5\r\n", 10));
  EXPECT_EQ(Run("return struct.pack('<i2', -2)"), "$2\r\n\xfe\xff\r\n");
  EXPECT_EQ(Run("return {struct.unpack('>hHlLbBfdc2s', struct.pack('>hHlLbBfdc2s', -1, 65535, -5, "
                "5, -1, 255, 1.5, 2.5, 'ab', 'text'))}"),
            "*11\r\n:-1\r\n:65535\r\n:-5\r\n:5\r\n:-1\r\n:255\r\n:1\r\n:2\r\n$2\r\nab\r\n$4\r\ntext"
            "\r\n:42\r\n");
  EXPECT_EQ(Run("return struct.size('!8bd')"), ":16\r\n");
  EXPECT_EQ(Run("return struct.unpack('Bc0', struct.pack('Bc0', 3, 'abc'))"), "$3\r\nabc\r\n");
  EXPECT_EQ(ErrorOf("return struct.unpack('>I4', 'abc')"),
            "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short)");
  EXPECT_EQ(ErrorOf("return struct.pack('q', 1)"),
            "-ERR user_script:1: bad argument #1 to 'pack' (invalid format option 'q')");
  EXPECT_EQ(ErrorOf("return struct.pack('i33', 1)"),
            "-ERR user_script:1: integral size 33 is larger than limit of 32");
  EXPECT_EQ(ErrorOf("return struct.size('i99999999999')"),
            "-ERR user_script:1: integral size overflow");
  EXPECT_EQ(ErrorOf("return struct.unpack('c0', 'x', 0)"),
            "-ERR user_script:1: bad argument #3 to 'unpack' (offset must be 1 or greater)");
  EXPECT_EQ(ErrorOf("return struct.pack('!0', 1)"),
            "-ERR user_script:1: alignment 0 is not a power of 2");
}

TEST_F(InterpreterTest, JsonAndBitsAreThere) {
  EXPECT_EQ(Run("return cjson.encode({1, {a = true}, cjson.null})"),
            "$19\r\n[1,{\"a\":true},null]\r\n");
  EXPECT_EQ(Run("return cjson.decode('[1,2.5,\"x\"]')"), "*3\r\n:1\r\n:2\r\n$1\r\nx\r\n");
  EXPECT_EQ(ErrorOf("return cjson.decode('[1,')"),
            "-ERR user_script:1: Expected value but found T_END at character 4");
  EXPECT_EQ(Run("return cjson.decode(string.rep('[', 100) .. string.rep(']', 100))").substr(0, 4),
            "*1\r\n");
  EXPECT_NE(ErrorOf("return cjson.decode(string.rep('[', 100000))"), "");
  EXPECT_EQ(Run("return bit.tohex(bit.band(255, 15))"), "$8\r\n0000000f\r\n");
}

TEST_F(InterpreterTest, ManyScriptsShareAState) {
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(Run("return " + std::to_string(i)), ":" + std::to_string(i) + "\r\n");
  }
  EXPECT_LT(interpreter_.memory(), size_t{8} << 20);
}

}  // namespace
}  // namespace kvs
