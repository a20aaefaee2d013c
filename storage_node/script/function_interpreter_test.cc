#include "storage_node/script/function_interpreter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

constexpr size_t kMemory = size_t{32} << 20;
constexpr size_t kRoom = size_t{1} << 24;

class TestHost : public ScriptHost {
 public:
  bool Call(CommandArgs args, int protocol, std::string* reply) override {
    RespWriter(protocol, reply).Bulk(args[0]);
    return true;
  }
  bool MayGoOn() override { return ++looks <= max_looks; }
  Result<bool> MayRun(CommandArgs /*args*/) override { return true; }

  int looks = 0;
  int max_looks = 100'000;
};

class FunctionInterpreterTest : public testing::Test {
 protected:
  std::string WhyNot(const std::string& code) {
    const Result<LibraryPtr> library = interpreter_.Load("#!lua name=t\n" + code, &host_);
    return library.ok() ? "" : std::string(library.status().message());
  }
  // Loads the library, alone, and calls its function `f`.
  std::string Call(const std::string& code, int protocol = 2) {
    const Result<LibraryPtr> library = interpreter_.Load("#!lua name=t\n" + code, &host_);
    if (!library.ok()) {
      return std::string(library.status().message());
    }
    FunctionSet set;
    EXPECT_TRUE(set.Add(*library, kRoom).ok());
    interpreter_.Retain(set);
    return Run(set, "f", protocol);
  }
  std::string Run(const FunctionSet& set, std::string_view name, int protocol = 2) {
    const auto found = set.Find(name);
    const std::vector<std::string_view> keys = {"k1", "k2"};
    const std::vector<std::string_view> args = {"a1"};
    std::string reply;
    end_ = interpreter_.Run(
        {.function = *found, .keys = keys, .args = args, .protocol = protocol, .host = &host_},
        &reply);
    return reply;
  }
  static std::string F(const std::string& body) {
    return "redis.register_function('f', function(keys, args) " + body + " end)";
  }

  TestHost host_;
  FunctionInterpreter interpreter_{kMemory};
  Interpreter::End end_ = Interpreter::End::kReplied;
};

TEST_F(FunctionInterpreterTest, AFunctionGetsKeysAndArguments) {
  EXPECT_EQ(Call(F("return {keys, args, #keys}")),
            "*3\r\n*2\r\n$2\r\nk1\r\n$2\r\nk2\r\n*1\r\n$2\r\na1\r\n:2\r\n");
  EXPECT_EQ(Call(F("return redis.call('GET', keys[1])")), "$3\r\nGET\r\n");
  EXPECT_EQ(Call(F("return {map={a=1}}"), 3), "%1\r\n$1\r\na\r\n:1\r\n");
}

TEST_F(FunctionInterpreterTest, ErrorsNameTheFunction) {
  EXPECT_EQ(Call(F("error('oops')")),
            "-ERR user_function:2: oops script: f, on @user_function:2.\r\n");
  EXPECT_EQ(end_, Interpreter::End::kFailed);
  EXPECT_EQ(Call(F("return KEYS")),
            "-ERR user_function:2: Script attempted to access nonexistent global variable 'KEYS' "
            "script: f, on @user_function:2.\r\n");
  EXPECT_EQ(Call(F("x = 1")),
            "-ERR user_function:2: Attempt to modify a readonly table script: f, on "
            "@user_function:2.\r\n");
  EXPECT_EQ(Call(F("redis.register_function('g', 1)")),
            "-ERR user_function:2: attempt to call field 'register_function' (a nil value) "
            "script: f, on @user_function:2.\r\n");
  EXPECT_EQ(Call("local r = redis " + F("r.register_function('g', function() end)")),
            "-ERR redis.register_function can only be called on FUNCTION LOAD command script: f, "
            "on @user_function:2.\r\n");
}

TEST_F(FunctionInterpreterTest, ALibrarySeesNothingButWhatItNeedsToRegister) {
  for (const char* name : {"call", "sha1hex", "setresp", "error_reply"}) {
    EXPECT_EQ(WhyNot(std::string("local x = redis.") + name),
              std::string("Error registering functions: ERR user_function:2: Script attempted to "
                          "access nonexistent global variable '") +
                  name + "'");
  }
  EXPECT_EQ(WhyNot("local x = math"),
            "Error registering functions: ERR user_function:2: Script attempted to access "
            "nonexistent global variable 'math'");
  EXPECT_EQ(WhyNot("x = 1"),
            "Error registering functions: ERR user_function:2: Attempt to modify a readonly table");
  EXPECT_EQ(WhyNot("redis.x = 1"),
            "Error registering functions: ERR user_function:2: Attempt to modify a readonly table");
  EXPECT_EQ(WhyNot("return 1"), "No functions registered");
  EXPECT_EQ(WhyNot("syntax error here"),
            "Error compiling function: user_function:2: '=' expected near 'error'");
}

TEST_F(FunctionInterpreterTest, WrongRegistrationsAreToldAsByRedis) {
  const auto why = [this](const std::string& arguments) {
    const std::string text = WhyNot("redis.register_function" + arguments);
    const std::string begin = "Error registering functions: ERR ";
    return text.starts_with(begin) ? text.substr(begin.size()) : text;
  };
  EXPECT_EQ(why("()"), "wrong number of arguments to redis.register_function");
  EXPECT_EQ(why("('a', function() end, 1)"),
            "wrong number of arguments to redis.register_function");
  EXPECT_EQ(why("('a')"),
            "calling redis.register_function with a single argument is only applicable to Lua "
            "table (representing named arguments).");
  EXPECT_EQ(why("('a', 'b')"), "second argument to redis.register_function must be a function");
  EXPECT_EQ(why("(nil, function() end)"),
            "first argument to redis.register_function must be a string");
  EXPECT_EQ(why("('a-b', function() end)"), kBadFunctionName);
  EXPECT_EQ(why("{}"), "redis.register_function must get a function name argument");
  EXPECT_EQ(why("{function_name='x'}"), "redis.register_function must get a callback argument");
  EXPECT_EQ(why("{function_name={}}"),
            "function_name argument given to redis.register_function must be a string");
  EXPECT_EQ(why("{callback=1}"),
            "callback argument given to redis.register_function must be a function");
  EXPECT_EQ(why("{description={}}"),
            "description argument given to redis.register_function must be a string");
  EXPECT_EQ(why("{flags=1}"),
            "flags argument to redis.register_function must be a table representing function "
            "flags");
  EXPECT_EQ(why("{flags={'no-writes', 'x'}}"), "unknown flag given");
  EXPECT_EQ(why("{flags={{}}}"), "unknown flag given");
  EXPECT_EQ(why("{x=1}"), "unknown argument given to redis.register_function");
  EXPECT_EQ(why("{1}"), "unknown argument given to redis.register_function");
  EXPECT_EQ(why("{[true]=1}"),
            "named argument key given to redis.register_function is not a string");
  EXPECT_EQ(why("('a', function() end) redis.register_function('a', function() end)"),
            "Function already exists in the library");
  EXPECT_EQ(WhyNot("for i = 1, 10001 do redis.register_function('f' .. i, function() end) end"),
            "Error registering functions: ERR a library may not register so many functions");
}

TEST_F(FunctionInterpreterTest, NamedArgumentsAreNoted) {
  const Result<LibraryPtr> library = interpreter_.Load(
      "#!lua name=t\nredis.register_function{function_name='f', callback=function() end, "
      "description='what', flags={'NO-writes', 'allow-cross-slot-keys'}}",
      &host_);

  ASSERT_TRUE(library.ok()) << library.status().ToString();
  const Function& function = (*library)->functions.front();
  EXPECT_EQ(function.description, "what");
  EXPECT_TRUE(function.no_writes);
  EXPECT_TRUE(function.allows_cross_slot_keys);
  EXPECT_FALSE(function.refuses_read_only);
  EXPECT_EQ(function.flags, kNoWritesFlag | kCrossSlotFlag);
}

TEST_F(FunctionInterpreterTest, LoadingAndRunningAreStoppedByTheHost) {
  host_.max_looks = 10;
  EXPECT_EQ(WhyNot("while true do end"), "Error registering functions: ERR FUNCTION LOAD timeout");
  host_.looks = 0;
  EXPECT_EQ(Call(F("while true do pcall(function() while true do end end) end")), "");
  EXPECT_EQ(end_, Interpreter::End::kStopped);
  host_.looks = 0;
  EXPECT_EQ(Call(F("return 1")), ":1\r\n");
}

TEST_F(FunctionInterpreterTest, AnotherThreadLoadsWhatItHasNotSeen) {
  const Result<LibraryPtr> library = interpreter_.Load(
      "#!lua name=t\nlocal n = 0 redis.register_function('f', function() n = n + 1 return n end)",
      &host_);
  ASSERT_TRUE(library.ok());
  FunctionSet set;
  ASSERT_TRUE(set.Add(*library, kRoom).ok());
  EXPECT_EQ(Run(set, "f"), ":1\r\n");
  EXPECT_EQ(Run(set, "F"), ":2\r\n");

  FunctionInterpreter other(kMemory);
  ASSERT_TRUE(other.Prepare(*library, &host_).ok());
  ASSERT_TRUE(other.Prepare(*library, &host_).ok());
  EXPECT_EQ((*library)->functions.size(), 1U);
  std::string reply;
  other.Run({.function = *set.Find("f"), .keys = {}, .args = {}, .host = &host_}, &reply);
  EXPECT_EQ(reply, ":1\r\n");
  other.Retain(FunctionSet());
  EXPECT_EQ(other.library_count(), 0U);
}

TEST_F(FunctionInterpreterTest, LibrariesMayNotTakeAllMemory) {
  EXPECT_EQ(WhyNot("local s = 'xxxxxxxxxxxxxxxx' for i = 1, 40 do s = s .. s end"),
            "Error registering functions: ERR not enough memory");
  EXPECT_EQ(WhyNot("local t = {} for i = 1, 600000 do t[i] = i end redis.register_function('f', "
                   "function() return t[1] end)"),
            "the libraries of functions would take more than half of script-memory-limit");
  EXPECT_EQ(Call(F("return 1")), ":1\r\n");
  // What a function piles up is let go with its library, which is then loaded anew.
  const std::string hoard =
      "local t = {} redis.register_function('f', function() for i = 1, "
      "600000 do t[i] = i end return #t end)";
  EXPECT_EQ(Call(hoard), ":600000\r\n");
  EXPECT_EQ(interpreter_.library_count(), 0U);
  EXPECT_LT(interpreter_.memory(), kMemory / 4);
}

}  // namespace
}  // namespace kvs
