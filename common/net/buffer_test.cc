#include "common/net/buffer.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/unique_fd.h"

namespace kvs {
namespace {

class BufferTest : public testing::Test {
 protected:
  void SetUp() override {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    a_.reset(fds[0]);
    b_.reset(fds[1]);
  }
  void Send(std::string_view bytes) {
    ASSERT_EQ(::write(a_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  UniqueFd a_;
  UniqueFd b_;
};

TEST_F(BufferTest, AFrameStaysContiguousAcrossReads) {
  ReadBuffer buffer;
  std::string all;
  for (int i = 0; i < 40; ++i) {
    const std::string part(3000, static_cast<char>('a' + i % 26));
    Send(part);
    all += part;
    ASSERT_EQ(buffer.ReadFrom(b_.get(), 1 << 20), IoResult::kProgress);
    ASSERT_EQ(buffer.unread(), all);
  }
}

TEST_F(BufferTest, SlicesOutliveTheBufferThatTheyCameFrom) {
  Slice slice;
  {
    ReadBuffer buffer;
    Send("hello world");
    ASSERT_EQ(buffer.ReadFrom(b_.get(), 1024), IoResult::kProgress);
    slice = buffer.Share(6, 5);
    buffer.Consume(11);
    Send(std::string(20000, 'x'));
    ASSERT_EQ(buffer.ReadFrom(b_.get(), 65536), IoResult::kProgress);
  }
  EXPECT_EQ(slice.view(), "world");
}

TEST_F(BufferTest, TheEndOfTheStreamComesAfterTheLastBytes) {
  ReadBuffer buffer;
  Send("last");
  a_.reset();
  EXPECT_EQ(buffer.ReadFrom(b_.get(), 1024), IoResult::kProgress);
  EXPECT_EQ(buffer.unread(), "last");
  EXPECT_EQ(buffer.ReadFrom(b_.get(), 1024), IoResult::kClosed);
}

TEST_F(BufferTest, AForgedFrameLengthDoesNotAllocateIt) {
  ReadBuffer buffer;
  Send("$1000000000\r\n");
  ASSERT_EQ(buffer.ReadFrom(b_.get(), 1024, 1'000'000'000), IoResult::kProgress);
  ASSERT_EQ(buffer.ReadFrom(b_.get(), 1024, 1'000'000'000), IoResult::kWouldBlock);
  EXPECT_LE(buffer.memory(), buffer.size() + 64 * 1024);
}

// Whether its length is known or not, a large frame costs time in proportion to its size.
TEST_F(BufferTest, ALargeFrameIsCopiedAFewTimesAndNotAtEveryRead) {
  constexpr size_t kFrame = size_t{16} << 20;
  for (const size_t hint : {kFrame, size_t{0}}) {
    ReadBuffer buffer;
    int moves = 0;
    const char* place = nullptr;
    while (buffer.size() < kFrame) {
      Send(std::string(20'000, 'x'));
      ASSERT_EQ(buffer.ReadFrom(b_.get(), 1 << 20, hint), IoResult::kProgress);
      moves += buffer.unread().data() != place ? 1 : 0;
      place = buffer.unread().data();
    }
    EXPECT_LE(moves, hint == kFrame ? 12 : 64) << "with a hint of " << hint;
  }
}

TEST_F(BufferTest, AnIdleBufferHoldsNoBlock) {
  ReadBuffer buffer;
  Send("x");
  ASSERT_EQ(buffer.ReadFrom(b_.get(), 1024), IoResult::kProgress);
  buffer.Consume(1);
  buffer.ReleaseIfEmpty();
  EXPECT_EQ(buffer.memory(), 0U);
}

// Random copies and shares leave in the order in which they were appended.
TEST_F(BufferTest, OutputKeepsOrderWhateverTheMix) {
  Random random(7);
  std::string source(kBlockSize, '\0');
  for (char& c : source) {
    c = static_cast<char>(random.Next());
  }
  BlockRef block(Block::New(kBlockSize));
  std::copy(source.begin(), source.end(), block->data());

  for (int round = 0; round < 50; ++round) {
    OutputQueue queue;
    std::string expected;
    for (int i = 0; i < 30; ++i) {
      const size_t offset = random.Uniform(source.size());
      const size_t size = random.Uniform(std::min<size_t>(source.size() - offset, 4000) + 1);
      if (random.OneIn(2)) {
        queue.Append(std::string_view(source).substr(offset, size));
      } else {
        queue.Append(Slice{block, block->data() + offset, size});
      }
      expected += source.substr(offset, size);
    }
    ASSERT_EQ(queue.size(), expected.size());
    std::string received;
    std::array<char, 8192> bytes;
    while (!queue.empty()) {
      ASSERT_NE(queue.WriteTo(a_.get()), IoResult::kClosed);
      ssize_t n = 0;
      while ((n = ::read(b_.get(), bytes.data(), bytes.size())) > 0) {
        received.append(bytes.data(), static_cast<size_t>(n));
      }
    }
    ASSERT_EQ(received, expected);
  }
}

TEST_F(BufferTest, NeighbouringSlicesBecomeOne) {
  BlockRef block(Block::New(100));
  std::fill(block->data(), block->data() + 8000, 'z');
  OutputQueue queue;
  queue.Append(Slice{block, block->data(), 2000});
  queue.Append(Slice{block, block->data() + 2000, 10});
  queue.Append(Slice{block, block->data() + 2010, 3000});
  std::string text;
  queue.CopyTo(&text);
  EXPECT_EQ(text, std::string(5010, 'z'));
}

}  // namespace
}  // namespace kvs
