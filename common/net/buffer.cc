#include "common/net/buffer.h"

#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

namespace kvs {
namespace {

// Free blocks that a thread keeps for itself: 8 MiB, enough for bursts, little enough to forget.
constexpr size_t kMaxPooled = 256;

struct Pool {
  Block* head = nullptr;
  size_t count = 0;
  size_t bytes = 0;
  ~Pool();
};

thread_local Pool pool;
// Static destruction order: blocks freed after the pool is gone go to the allocator.
thread_local bool pool_gone = false;

// Readers keep at least this much room, so that a read is worth its system call.
constexpr size_t kMinRead = 4096;
constexpr size_t kMaxIov = 256;

}  // namespace

Block* Block::New(size_t capacity) {
  if (capacity <= kBlockSize && pool.head != nullptr) {
    Block* block = pool.head;
    pool.head = block->next_free_;
    --pool.count;
    block->refs_ = 1;
    block->next_free_ = nullptr;
    return block;
  }
  const size_t size = std::max(capacity, kBlockSize);
  void* memory = std::malloc(sizeof(Block) + size);
  KVS_CHECK(memory != nullptr);
  auto* block = new (memory) Block();
  block->capacity_ = size;
  pool.bytes += size;
  return block;
}

void Block::Free(Block* block) {
  if (!pool_gone && block->capacity_ == kBlockSize && pool.count < kMaxPooled) {
    block->next_free_ = pool.head;
    pool.head = block;
    ++pool.count;
    return;
  }
  if (!pool_gone) {
    pool.bytes -= block->capacity_;
  }
  block->~Block();
  std::free(block);
}

size_t Block::ThreadBytes() {
  return pool.bytes;
}

size_t Block::ThreadBytesInUse() {
  return pool.bytes - pool.count * kBlockSize;
}

Pool::~Pool() {
  pool_gone = true;
  while (head != nullptr) {
    Block::New(0)->Unref();  // Takes one from the list; Free() no longer puts it back.
  }
}

void ReadBuffer::MakeRoom(size_t frame_hint) {
  const size_t used = size();
  const size_t missing = frame_hint - std::min(frame_hint, used);
  const size_t at_least =
      std::max({kMinRead, used / 8, std::min(missing, std::max(used, kBlockSize / 2))});
  if (block_) {
    const auto room = static_cast<size_t>(block_->data() + block_->capacity() - end_);
    // Grows by a part of itself when the room is used up, and not before: a large frame is copied
    // a few times, not at every read.
    if (room >= std::min(at_least, kBlockSize / 2)) {
      return;
    }
    if (block_->unique() && block_->capacity() - used >= at_least && used <= kMinRead) {
      std::memmove(block_->data(), begin_, used);
      begin_ = block_->data();
      end_ = begin_ + used;
      return;
    }
  }
  BlockRef next(Block::New(std::max(kBlockSize, used + at_least)));
  if (used > 0) {
    std::memcpy(next->data(), begin_, used);
  }
  begin_ = next->data();
  end_ = begin_ + used;
  block_ = std::move(next);
}

IoResult ReadBuffer::ReadFrom(int fd, size_t budget, size_t frame_hint) {
  size_t total = 0;
  while (total < budget) {
    MakeRoom(frame_hint);
    const auto room = static_cast<size_t>(block_->data() + block_->capacity() - end_);
    const ssize_t n = ::recv(fd, end_, room, MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return total > 0 ? IoResult::kProgress : IoResult::kWouldBlock;
      }
      return IoResult::kClosed;
    }
    if (n == 0) {
      // What was read before the end is still delivered: the next read reports the end again.
      return total > 0 ? IoResult::kProgress : IoResult::kClosed;
    }
    end_ += n;
    total += static_cast<size_t>(n);
    if (static_cast<size_t>(n) < room) {
      break;  // The socket is empty; level triggering tells if more comes.
    }
  }
  return IoResult::kProgress;
}

void ReadBuffer::ReleaseIfEmpty() {
  if (begin_ == end_) {
    block_ = BlockRef();
    begin_ = end_ = nullptr;
  }
}

Slice ReadBuffer::Share(size_t offset, size_t size) const {
  KVS_CHECK(offset + size <= this->size());
  return {block_, begin_ + offset, size};
}

void OutputQueue::Append(std::string_view bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (!tail_ || tail_end_ == tail_->data() + tail_->capacity()) {
      tail_ = BlockRef(Block::New(std::min(bytes.size(), kBlockSize)));
      tail_end_ = tail_->data();
    }
    const auto room = static_cast<size_t>(tail_->data() + tail_->capacity() - tail_end_);
    const size_t n = std::min(room, bytes.size());
    std::memcpy(tail_end_, bytes.data(), n);
    if (!slices_.empty() && slices_.back().data + slices_.back().size == tail_end_ &&
        slices_.back().block.get() == tail_.get()) {
      slices_.back().size += n;
    } else {
      slices_.push_back({tail_, tail_end_, n});
    }
    tail_end_ += n;
    bytes.remove_prefix(n);
  }
}

void OutputQueue::Append(const Slice& slice) {
  if (!slices_.empty() && slices_.back().block.get() == slice.block.get() &&
      slices_.back().data + slices_.back().size == slice.data && slice.block.get() != tail_.get()) {
    slices_.back().size += slice.size;  // Neighbours in the source stay neighbours.
    size_ += slice.size;
    return;
  }
  if (slice.size < kShareThreshold) {
    Append(slice.view());
    return;
  }
  slices_.push_back(slice);
  size_ += slice.size;
}

void OutputQueue::Append(OutputQueue&& other) {
  if (other.size_ < kShareThreshold) {
    for (const Slice& slice : other.slices_) {
      Append(slice.view());
    }
  } else {
    for (Slice& slice : other.slices_) {
      size_ += slice.size;
      slices_.push_back(std::move(slice));
    }
  }
  other.Clear();
}

void OutputQueue::Clear() {
  slices_.clear();
  tail_ = BlockRef();
  tail_end_ = nullptr;
  size_ = 0;
}

void OutputQueue::DropFront(size_t n) {
  size_ -= n;
  while (n > 0) {
    Slice& front = slices_.front();
    if (front.size > n) {
      front.data += n;
      front.size -= n;
      return;
    }
    n -= front.size;
    slices_.pop_front();
  }
}

// Offers as many slices as one call takes; `*offered` is their size.
ssize_t OutputQueue::Send(int fd, size_t* offered) const {
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  if (slices_.size() == 1) {  // A reply or two: the kernel need not look at a list.
    *offered = slices_.front().size;
    return ::send(fd, slices_.front().data, *offered, kFlags);
  }
  std::array<iovec, kMaxIov> iov;
  size_t count = 0;
  *offered = 0;
  for (; count < std::min(kMaxIov, slices_.size()); ++count) {
    const Slice& slice = slices_.at(count);
    iov[count] = {const_cast<char*>(slice.data), slice.size};
    *offered += slice.size;
  }
  msghdr message{};
  message.msg_iov = iov.data();
  message.msg_iovlen = count;
  return ::sendmsg(fd, &message, kFlags);
}

IoResult OutputQueue::WriteTo(int fd) {
  while (size_ > 0) {
    size_t offered = 0;
    const ssize_t n = Send(fd, &offered);
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno == EAGAIN || errno == EWOULDBLOCK ? IoResult::kWouldBlock : IoResult::kClosed;
    }
    DropFront(static_cast<size_t>(n));
    if (static_cast<size_t>(n) < offered) {
      return IoResult::kWouldBlock;
    }
  }
  Clear();
  return IoResult::kProgress;
}

void OutputQueue::CopyTo(std::string* out) const {
  for (const Slice& slice : slices_) {
    out->append(slice.view());
  }
}

}  // namespace kvs
