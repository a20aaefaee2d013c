// Ref-counted blocks of bytes, and the two queues made of them: what was read, what is to be
// written.
//
// Bytes are read once into a block and leave from that same block: a Slice names a part of a block
// and keeps it alive.  A frame (request or reply) always lies contiguously in one block; when a
// block ends inside a frame, only the part of that frame is copied to the next block.
//
// Threads: loop-owned.  The counts are plain integers and free blocks wait in a list of the thread.
// Owner:   sessions and links, by value.

#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/base/ring_queue.h"

namespace kvs {

// The size of a pooled block's data.  Larger frames get a block of their own.
inline constexpr size_t kBlockSize = 32 * 1024 - 32;

// Parts shorter than this are copied into a queue instead of being referenced: a copy costs less
// than an entry of an iovec, and a short part does not keep a whole block alive.
inline constexpr size_t kShareThreshold = 1024;

class Block {
 public:
  // Returns a block with at least `capacity` bytes and one reference.
  static Block* New(size_t capacity);
  void Ref() { ++refs_; }
  void Unref() {
    if (--refs_ == 0) {
      Free(this);
    }
  }
  bool unique() const { return refs_ == 1; }
  size_t capacity() const { return capacity_; }
  char* data() { return reinterpret_cast<char*>(this) + sizeof(Block); }

  // Bytes of blocks now in use or pooled by this thread; for memory accounting and tests.
  static size_t ThreadBytes();
  // Bytes of blocks of this thread that are in use.
  static size_t ThreadBytesInUse();

 private:
  Block() = default;
  static void Free(Block* block);

  uint32_t refs_ = 1;
  size_t capacity_ = 0;
  Block* next_free_ = nullptr;
};

class BlockRef {
 public:
  BlockRef() = default;
  // Takes over the caller's reference.
  explicit BlockRef(Block* block) : block_(block) {}
  BlockRef(const BlockRef& other) : block_(other.block_) {
    if (block_ != nullptr) {
      block_->Ref();
    }
  }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() {
    if (block_ != nullptr) {
      block_->Unref();
    }
  }
  Block* get() const { return block_; }
  Block* operator->() const { return block_; }
  explicit operator bool() const { return block_ != nullptr; }

 private:
  Block* block_ = nullptr;
};

// A part of a block.
struct Slice {
  BlockRef block;
  const char* data = nullptr;
  size_t size = 0;

  std::string_view view() const { return {data, size}; }
};

enum class IoResult : uint8_t {
  kProgress,  // Bytes moved.
  kWouldBlock,
  kClosed,  // The peer closed, or the connection broke.
};

// Bytes read from a socket and not yet consumed; contiguous.
class ReadBuffer {
 public:
  ReadBuffer() = default;
  ReadBuffer(const ReadBuffer&) = delete;
  ReadBuffer& operator=(const ReadBuffer&) = delete;

  // The unread bytes.  Valid until the next ReadFrom(); Consume() only shortens it.
  std::string_view unread() const { return {begin_, static_cast<size_t>(end_ - begin_)}; }
  size_t size() const { return static_cast<size_t>(end_ - begin_); }

  // Reads up to `budget` bytes.  `frame_hint` is the total size of the frame at the front if it is
  // known: the buffer then grows towards it, by doubling, so a forged length costs nothing.
  IoResult ReadFrom(int fd, size_t budget, size_t frame_hint = 0);

  // Drops the first `n` unread bytes.  Slices of them stay valid.
  void Consume(size_t n) {
    KVS_CHECK(n <= size());
    begin_ += n;
  }
  // Gives the block back if nothing is unread, so that an idle connection holds no memory.
  void ReleaseIfEmpty();

  // Returns a reference to unread()[offset, offset + size).
  Slice Share(size_t offset, size_t size) const;

  size_t memory() const { return block_ ? block_->capacity() : 0; }

 private:
  void MakeRoom(size_t frame_hint);

  BlockRef block_;
  char* begin_ = nullptr;
  char* end_ = nullptr;
};

// Bytes to be written to a socket, in order.
class OutputQueue {
 public:
  OutputQueue() = default;
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  // Copies `bytes`.
  void Append(std::string_view bytes);
  // References the slice, or copies it if it is short.
  void Append(const Slice& slice);
  // Moves everything of `other` to the end of this queue.
  void Append(OutputQueue&& other);

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  void Clear();
  // Gives back what an empty queue holds for the next bytes.
  void ReleaseIfEmpty() { slices_.ReleaseIfEmpty(); }

  // Writes as much as the socket takes, with as few calls as possible.
  // kProgress: everything is written.  kWouldBlock: some is left.
  IoResult WriteTo(int fd);

  // Copies the whole content; for tests and for rare conversions.
  void CopyTo(std::string* out) const;

 private:
  ssize_t Send(int fd, size_t* offered) const;
  void DropFront(size_t n);

  RingQueue<Slice> slices_;
  // The last slice may be grown in place while it ends at tail_end_ of tail_.
  BlockRef tail_;
  char* tail_end_ = nullptr;
  size_t size_ = 0;
};

}  // namespace kvs
