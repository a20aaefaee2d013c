// Lists against a std::vector, in turns of several commands, packed and not, with expiry, renames,
// hand-overs, crashes and sweeps in between.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/slowness.h"
#include "common/resp/reply_tree.h"
#include "storage_node/command/command_testbed.h"

namespace kvs {
namespace {

using Elements = std::vector<std::string>;

class ListModelTest : public testing::TestWithParam<uint64_t> {
 protected:
  ListModelTest() { NewClient(); }
  void TearDown() override {
    client_->Commit();
    EXPECT_EQ(testbed_.CheckBookkeeping(), "");
    client_.reset();
    EXPECT_EQ(testbed_.CheckStoredData(), "");
  }
  void NewClient() { client_ = std::make_unique<CommandClient>(&testbed_, 2); }

  Reply Ask(std::vector<std::string> args) {
    Result<Reply> reply = ParseReply(client_->RunRaw(args));
    EXPECT_TRUE(reply.ok()) << args[0];
    return reply.ok() ? *std::move(reply) : Reply();
  }
  // Few, so that there are equal ones; some are too large to stay packed.
  std::string Element() {
    return std::string(random_.Uniform(8) == 0 ? 60 : 1,
                       static_cast<char>('a' + random_.Uniform(9)));
  }
  std::string Key() {
    return (random_.OneIn(2) ? "{t}" : "k") + std::to_string(random_.Uniform(3));
  }
  std::string Index(size_t size) {
    return std::to_string(static_cast<int64_t>(random_.Uniform(2 * size + 6)) -
                          static_cast<int64_t>(size) - 3);
  }
  static Elements Texts(const Reply& reply) {
    Elements texts;
    for (const Reply& element : reply.elements) {
      texts.push_back(element.text);
    }
    return texts;
  }
  // The elements that Redis's two indexes mean.
  static Elements Part(const Elements& list, int64_t start, int64_t stop) {
    const auto size = static_cast<int64_t>(list.size());
    start = std::max<int64_t>(start < 0 ? start + size : start, 0);
    stop = std::min(stop < 0 ? stop + size : stop, size - 1);
    return start > stop ? Elements() : Elements(list.begin() + start, list.begin() + stop + 1);
  }

  void Step() {
    testbed_.type_limits().packed_size = random_.Uniform(3) * 150;
    const std::string key = Key();
    switch (random_.Uniform(18)) {
      case 0:
      case 1:
      case 2:
        return Push(key);
      case 3:
        return PushMany(key);
      case 4:
      case 5:
        return Pop(key);
      case 6:
      case 7:
        return Insert(key);
      case 8:
        return RemoveEqual(key);
      case 9:
        return Set(key);
      case 10:
        return Trim(key);
      case 11:
        return ReadSome(key);
      case 12:
        return Find(key);
      case 13:
        return Move(key, Key());
      case 14:
        return Rename(key, Key());
      case 15:
        return Remove(key);
      case 16:
        client_->Commit();
        return;
      default:
        return Disturb();
    }
  }
  void Push(const std::string& key) {
    const bool head = random_.OneIn(2);
    const bool must_exist = random_.OneIn(4);
    Elements& list = lists_[key];
    Elements args = {std::string(head ? "l" : "r") + (must_exist ? "pushx" : "push"), key};
    for (uint64_t i = 1 + random_.Uniform(4); i > 0; --i) {
      args.push_back(Element());
    }
    if (!must_exist || !list.empty()) {
      for (size_t i = 2; i < args.size(); ++i) {
        list.insert(head ? list.begin() : list.end(), args[i]);
      }
    }
    ASSERT_EQ(Ask(args).integer, static_cast<int64_t>(list.size()));
  }
  void PushMany(const std::string& key) {
    Elements args = {"rpush", key};
    for (uint64_t i = random_.Uniform(700); i > 0; --i) {
      args.push_back(Element());
    }
    if (args.size() > 2 && random_.OneIn(2)) {
      lists_[key].insert(lists_[key].end(), args.begin() + 2, args.end());
      ASSERT_EQ(Ask(args).integer, static_cast<int64_t>(lists_[key].size()));
    }
  }
  void Pop(const std::string& key) {
    const bool head = random_.OneIn(2);
    Elements& list = lists_[key];
    const size_t count = random_.Uniform(random_.OneIn(4) ? list.size() + 2 : 5);
    const size_t size = std::min(count, list.size());
    Elements wanted;
    for (size_t i = 0; i < size; ++i) {
      wanted.push_back(head ? list.front() : list.back());
      list.erase(head ? list.begin() : list.end() - 1);
    }
    if (random_.OneIn(3) && count > 0) {
      const Reply reply =
          Ask({"lmpop", "1", key, head ? "left" : "right", "count", std::to_string(count)});
      ASSERT_EQ(reply.elements.size(), size == 0 ? 0u : 2u);
      ASSERT_EQ(size == 0 ? Elements() : Texts(reply.elements[1]), wanted);
    } else {
      ASSERT_EQ(Texts(Ask({head ? "lpop" : "rpop", key, std::to_string(count)})), wanted);
    }
  }
  void Insert(const std::string& key) {
    Elements& list = lists_[key];
    const std::string pivot = Element();
    const std::string element = Element();
    const bool before = random_.OneIn(2);
    const auto at = std::find(list.begin(), list.end(), pivot);
    int64_t wanted = list.empty() ? 0 : -1;
    if (at != list.end()) {
      list.insert(before ? at : at + 1, element);
      wanted = static_cast<int64_t>(list.size());
    }
    ASSERT_EQ(Ask({"linsert", key, before ? "before" : "after", pivot, element}).integer, wanted);
  }
  void RemoveEqual(const std::string& key) {
    Elements& list = lists_[key];
    const std::string element = Element();
    const int64_t count = static_cast<int64_t>(random_.Uniform(7)) - 3;
    const bool backward = count < 0;
    int64_t left = count == 0 ? INT64_MAX : std::abs(count);
    int64_t removed = 0;
    if (backward) {
      std::reverse(list.begin(), list.end());
    }
    std::erase_if(list, [&](const std::string& each) {
      const bool goes = each == element && left > 0;
      left -= goes ? 1 : 0;
      removed += goes ? 1 : 0;
      return goes;
    });
    if (backward) {
      std::reverse(list.begin(), list.end());
    }
    ASSERT_EQ(Ask({"lrem", key, std::to_string(count), element}).integer, removed);
  }
  void Set(const std::string& key) {
    Elements& list = lists_[key];
    const std::string text = Index(list.size());
    const Elements meant = Part(list, std::stoll(text), std::stoll(text));
    const auto size = static_cast<int64_t>(list.size());
    const int64_t index = std::stoll(text) < 0 ? std::stoll(text) + size : std::stoll(text);
    const bool is_there = index >= 0 && index < size;
    const std::string element = Element();
    ASSERT_EQ(Ask({"lindex", key, text}).text, is_there ? meant.front() : "");
    ASSERT_EQ(Ask({"lset", key, text, element}).text, is_there       ? "OK"
                                                      : list.empty() ? "ERR no such key"
                                                                     : "ERR index out of range");
    if (is_there) {
      list[static_cast<size_t>(index)] = element;
    }
  }
  void Trim(const std::string& key) {
    if (random_.OneIn(3)) {
      Elements& list = lists_[key];
      const std::string start = Index(list.size());
      const std::string stop = Index(list.size());
      list = Part(list, std::stoll(start), std::stoll(stop));
      ASSERT_EQ(Ask({"ltrim", key, start, stop}).text, "OK");
    }
  }
  void ReadSome(const std::string& key) {
    const Elements& list = lists_[key];
    ASSERT_EQ(Ask({"llen", key}).integer, static_cast<int64_t>(list.size()));
    ASSERT_EQ(Ask({"exists", key}).integer, list.empty() ? 0 : 1);
    const std::string start = random_.OneIn(3) ? "0" : Index(list.size());
    const std::string stop = random_.OneIn(3) ? "-1" : Index(list.size());
    ASSERT_EQ(Texts(Ask({"lrange", key, start, stop})),
              Part(list, std::stoll(start), std::stoll(stop)));
  }
  void Find(const std::string& key) {
    Elements list = lists_[key];
    const std::string element = Element();
    const bool backward = random_.OneIn(2);
    const size_t rank = 1 + random_.Uniform(3);
    const size_t count = random_.Uniform(4);
    const size_t most = random_.Uniform(list.size() + 2);
    std::vector<int64_t> wanted;
    size_t seen = 0;
    for (size_t i = 0; i < list.size() && (most == 0 || i < most); ++i) {
      const size_t index = backward ? list.size() - 1 - i : i;
      if (list[index] == element && ++seen >= rank && (count == 0 || wanted.size() < count)) {
        wanted.push_back(static_cast<int64_t>(index));
      }
    }
    const Reply reply =
        Ask({"lpos", key, element, "rank", (backward ? "-" : "") + std::to_string(rank), "count",
             std::to_string(count), "maxlen", std::to_string(most)});
    std::vector<int64_t> found;
    for (const Reply& each : reply.elements) {
      found.push_back(each.integer);
    }
    ASSERT_EQ(found, wanted);
  }
  void Move(const std::string& from, const std::string& to) {
    const bool from_head = random_.OneIn(2);
    const bool to_head = random_.OneIn(2);
    const Reply reply =
        Ask({"lmove", from, to, from_head ? "left" : "right", to_head ? "left" : "right"});
    Elements& source = lists_[from];
    if (source.empty()) {
      ASSERT_EQ(reply.text, "");
      return;
    }
    const std::string element = from_head ? source.front() : source.back();
    source.erase(from_head ? source.begin() : source.end() - 1);
    Elements& target = lists_[to];
    target.insert(to_head ? target.begin() : target.end(), element);
    ASSERT_EQ(reply.text, element);
  }
  void Rename(const std::string& from, const std::string& to) {
    if (lists_[from].empty() || from == to) {
      return;
    }
    if (random_.OneIn(2)) {
      ASSERT_EQ(Ask({"copy", from, to, "replace"}).integer, 1);
      lists_[to] = lists_[from];
    } else {
      ASSERT_EQ(Ask({"rename", from, to}).text, "OK");
      lists_[to] = std::move(lists_[from]);
      lists_[from].clear();
    }
  }
  // Deletes the key, or lets it expire, or overwrites it.
  void Remove(const std::string& key) {
    if (!random_.OneIn(4)) {
      return;
    }
    switch (random_.Uniform(3)) {
      case 0:
        Ask({"del", key});
        break;
      case 1:
        Ask({"pexpire", key, "5"});
        client_->Commit();
        testbed_.clock().AdvanceMicros(6000);
        break;
      default:
        Ask({"set", key, "a string"});
        Ask({"getdel", key});
        break;
    }
    lists_[key].clear();
  }
  void Disturb() {
    client_->Commit();
    if (random_.OneIn(3)) {
      client_.reset();
      random_.OneIn(2) ? testbed_.Crash() : testbed_.Restart();
      NewClient();
      return;
    }
    Store* store = testbed_.store();
    for (int i = 0; i < store->engines().instance_count(); ++i) {
      ASSERT_TRUE(store->pipeline().HandOver(i).ok());
    }
    Sweeper sweeper(store, &testbed_.clock());
    ASSERT_TRUE(sweeper.RunSlice(2000).ok());
  }

  Random random_{GetParam()};
  CommandTestbed testbed_;
  std::unique_ptr<CommandClient> client_;
  std::map<std::string, Elements> lists_;
};

TEST_P(ListModelTest, IsAVector) {
  for (int i = 0; i < 2500 / kSlownessFactor; ++i) {
    Step();
    if (HasFatalFailure()) {
      FAIL() << "step " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ListModelTest, testing::Range<uint64_t>(1, 7));

}  // namespace
}  // namespace kvs
