// Commands on the bits of strings.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/bits.h"
#include "storage_node/types/keyspace.h"
#include "storage_node/types/string_change.h"
#include "storage_node/types/string_reader.h"

namespace kvs {
namespace {

constexpr uint64_t kByteBits = 8;

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}
Status NotAnInteger() {
  return Status::InvalidArgument("value is not an integer or out of range");
}

// Reads the offset of a bit; "#3" is the third field of so many bits, where there are such.
Result<uint64_t> ParseOffset(const CommandContext& ctx, std::string_view word, int field_bits) {
  const bool counts_fields = field_bits > 0 && word.starts_with('#');
  int64_t offset = 0;
  if (!ParseInt64(word.substr(counts_fields ? 1 : 0), &offset) ||
      (counts_fields && __builtin_mul_overflow(offset, field_bits, &offset)) || offset < 0 ||
      static_cast<uint64_t>(offset) / kByteBits >= ctx.max_string_size) {
    return Status::InvalidArgument("bit offset is not an integer or out of range");
  }
  return static_cast<uint64_t>(offset);
}

// The words of BITCOUNT and BITPOS that name a part of the string.
struct PartWords {
  int64_t start = 0;
  int64_t end = -1;
  bool in_bits = false;
};

// Which of two mistakes is told: BITPOS looks at the unit before it looks at the end.
enum class UnitOrder : uint8_t { kBeforeEnd, kBehindEnd };

// Reads start, end and unit; those that are not there stay as they are.
Result<PartWords> ParsePart(std::span<const std::string_view> words, UnitOrder order) {
  PartWords part;
  if (words.size() > 3) {
    return SyntaxError();
  }
  if (!words.empty() && !ParseInt64(words[0], &part.start)) {
    return NotAnInteger();
  }
  const bool has_unit = words.size() > 2;
  part.in_bits = has_unit && EqualsIgnoreCase(words[2], "BIT");
  const bool bad_unit = has_unit && !part.in_bits && !EqualsIgnoreCase(words[2], "BYTE");
  if (bad_unit && order == UnitOrder::kBeforeEnd) {
    return SyntaxError();
  }
  if (words.size() > 1 && !ParseInt64(words[1], &part.end)) {
    return NotAnInteger();
  }
  return bad_unit ? Result<PartWords>(SyntaxError()) : part;
}

// Returns the bits of that part of a string of `size` bytes; nothing: there are none.
std::optional<BitRange> RangeOf(const PartWords& part, uint64_t size) {
  const auto total = static_cast<int64_t>(size * (part.in_bits ? kByteBits : 1));
  const auto clamped = [total](int64_t index) {
    return std::max<int64_t>(index < 0 ? total + index : index, 0);
  };
  const int64_t start = clamped(part.start);
  const int64_t end = std::min(clamped(part.end), total - 1);
  if (start > end) {
    return std::nullopt;
  }
  if (part.in_bits) {
    return BitRange{static_cast<uint64_t>(start), static_cast<uint64_t>(end)};
  }
  return BitRange{static_cast<uint64_t>(start) * kByteBits,
                  static_cast<uint64_t>(end) * kByteBits + kByteBits - 1};
}

// Returns the bits of the range that some bytes of the string have, as they are counted there.
BitRange Within(const BitRange& range, uint64_t offset, size_t size) {
  const uint64_t begin = offset * kByteBits;
  return {std::max(range.first, begin) - begin,
          std::min(range.last, begin + size * kByteBits - 1) - begin};
}

uint64_t FirstByte(const BitRange& range) {
  return range.first / kByteBits;
}
uint64_t ByteCount(const BitRange& range) {
  return range.last / kByteBits - FirstByte(range) + 1;
}

Result<uint64_t> CountBitsOf(const StringReader& string, const BitRange& range) {
  uint64_t count = 0;
  KVS_RETURN_IF_ERROR(string.ForEachPart(
      FirstByte(range), ByteCount(range), [&](uint64_t offset, std::string_view bytes) {
        count += CountBits(bytes, Within(range, offset, bytes.size()));
        return true;
      }));
  return count;
}

Result<std::optional<uint64_t>> FindBitOf(const StringReader& string, const BitRange& range,
                                          bool bit) {
  std::optional<uint64_t> found;
  uint64_t next = range.first;  // The first bit that was not looked at.
  KVS_RETURN_IF_ERROR(string.ForEachPart(
      FirstByte(range), ByteCount(range), [&](uint64_t offset, std::string_view bytes) {
        const uint64_t begin = offset * kByteBits;
        if (!bit && next < begin) {
          return false;  // What is left out is zeros.
        }
        const BitRange part = Within(range, offset, bytes.size());
        if (const std::optional<uint64_t> at = FindBit(bytes, part, bit); at.has_value()) {
          found = begin + *at;
        }
        next = begin + part.last + 1;
        return !found.has_value();
      }));
  if (!bit && !found.has_value() && next <= range.last) {
    found = next;
  }
  return found;
}

enum class BitOperation : uint8_t { kAnd, kOr, kXor, kNot };

Result<BitOperation> ParseOperation(std::string_view word) {
  constexpr std::pair<std::string_view, BitOperation> kOperations[] = {{"AND", BitOperation::kAnd},
                                                                       {"OR", BitOperation::kOr},
                                                                       {"XOR", BitOperation::kXor},
                                                                       {"NOT", BitOperation::kNot}};
  for (const auto& [name, operation] : kOperations) {
    if (EqualsIgnoreCase(word, name)) {
      return operation;
    }
  }
  return SyntaxError();
}

char Combined(BitOperation operation, char a, char b) {
  switch (operation) {
    case BitOperation::kAnd:
      return static_cast<char>(a & b);
    case BitOperation::kOr:
      return static_cast<char>(a | b);
    case BitOperation::kXor:
      return static_cast<char>(a ^ b);
    case BitOperation::kNot:
      break;
  }
  return static_cast<char>(~a);
}

// Combines `*result` with another string, as if the shorter one had zero bytes behind it.
void Combine(BitOperation operation, std::string_view value, std::string* result) {
  result->resize(std::max(result->size(), value.size()));
  for (size_t i = 0; i < result->size(); ++i) {
    (*result)[i] = Combined(operation, (*result)[i], i < value.size() ? value[i] : '\0');
  }
}

}  // namespace

// BITCOUNT key [start end [BYTE | BIT]]
Status CmdBitCount(CommandContext& ctx) {
  if (ctx.argc() == 3) {
    return SyntaxError();
  }
  KVS_ASSIGN_OR_RETURN(const PartWords part, ParsePart(ctx.args.subspan(2), UnitOrder::kBehindEnd));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindString(ctx.arg(1)));
  ctx.CountLookup(entry.key, entry.exists());
  const StringReader string(&keyspace, &entry);
  // Both far before the string, they would else be its first byte.
  const bool is_backward = part.start < 0 && part.end < 0 && part.start > part.end;
  const std::optional<BitRange> range = is_backward ? std::nullopt : RangeOf(part, string.size());
  uint64_t count = 0;
  if (range.has_value()) {
    KVS_ASSIGN_OR_RETURN(count, CountBitsOf(string, *range));
  }
  ctx.reply.Integer(static_cast<int64_t>(count));
  return Status::Ok();
}

// BITOP <AND | OR | XOR | NOT> destkey key [key ...]
Status CmdBitOp(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const BitOperation operation, ParseOperation(ctx.arg(1)));
  if (operation == BitOperation::kNot && ctx.argc() != 4) {
    return Status::InvalidArgument("BITOP NOT must be called with a single source key.");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  std::string result;
  // One at a time: a request may name a long string a million times.
  for (size_t i = 3; i < ctx.argc(); ++i) {
    KVS_ASSIGN_OR_RETURN(const KeyEntry source, keyspace.FindString(ctx.arg(i)));
    ctx.CountLookup(source.key, source.exists());
    std::string scratch;
    KVS_ASSIGN_OR_RETURN(const std::string_view value,
                         StringReader(&keyspace, &source).Whole(&scratch));
    if (i == 3) {
      result.assign(value);
    }
    if (i > 3 || operation == BitOperation::kNot) {
      Combine(operation, value, &result);
    }
  }
  KVS_ASSIGN_OR_RETURN(KeyEntry target, keyspace.FindForWrite(ctx.arg(2)));
  if (result.empty()) {
    keyspace.Delete(&target);
  } else {
    keyspace.PutString(&target, result, kNoExpiry);
  }
  ctx.NotifyStored(KeyEventKind::kString, "set", ctx.arg(2), !result.empty());
  ctx.reply.Integer(static_cast<int64_t>(result.size()));
  return Status::Ok();
}

// BITPOS key bit [start [end [BYTE | BIT]]]
Status CmdBitPos(CommandContext& ctx) {
  int64_t bit = 0;
  if (!ParseInt64(ctx.arg(2), &bit)) {
    return NotAnInteger();
  }
  if (bit != 0 && bit != 1) {
    return Status::InvalidArgument("The bit argument must be 1 or 0.");
  }
  KVS_ASSIGN_OR_RETURN(PartWords part, ParsePart(ctx.args.subspan(3), UnitOrder::kBeforeEnd));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindString(ctx.arg(1)));
  ctx.CountLookup(entry.key, entry.exists());
  if (!entry.exists()) {
    ctx.reply.Integer(bit == 1 ? -1 : 0);  // Zero bits without an end.
    return Status::Ok();
  }
  const StringReader string(&keyspace, &entry);
  const std::optional<BitRange> range = RangeOf(part, string.size());
  std::optional<uint64_t> found;
  if (range.has_value()) {
    KVS_ASSIGN_OR_RETURN(found, FindBitOf(string, *range, bit == 1));
  }
  // Without an end there are zero bits behind the string.
  const bool has_end = ctx.argc() > 4;
  const bool ends = !range.has_value() || bit == 1 || has_end;
  ctx.reply.Integer(found.has_value() ? static_cast<int64_t>(*found)
                    : ends            ? -1
                                      : static_cast<int64_t>(string.size() * kByteBits));
  return Status::Ok();
}

// GETBIT key offset
Status CmdGetBit(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const uint64_t offset, ParseOffset(ctx, ctx.arg(2), 0));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindString(ctx.arg(1)));
  ctx.CountLookup(entry.key, entry.exists());
  std::string scratch;
  KVS_ASSIGN_OR_RETURN(const std::string_view byte,
                       StringReader(&keyspace, &entry).Part(offset / kByteBits, 1, &scratch));
  ctx.reply.Integer(BitAt(byte, offset % kByteBits) ? 1 : 0);
  return Status::Ok();
}

// SETBIT key offset value
Status CmdSetBit(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const uint64_t offset, ParseOffset(ctx, ctx.arg(2), 0));
  int64_t bit = 0;
  if (!ParseInt64(ctx.arg(3), &bit) || (bit != 0 && bit != 1)) {
    return Status::InvalidArgument("bit is not an integer or out of range");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(StringChange change, StringChange::Open(&keyspace, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(std::string byte, change.Read(offset / kByteBits, 1));
  const bool old = BitAt(byte, offset % kByteBits);
  SetBitAt(offset % kByteBits, bit == 1, &byte);
  KVS_RETURN_IF_ERROR(change.Write(offset / kByteBits, byte));
  if (change.changed()) {
    change.Save();
    ctx.Notify(KeyEventKind::kString, "setbit", ctx.arg(1));
  }
  ctx.reply.Integer(old ? 1 : 0);
  return Status::Ok();
}

namespace {

enum class FieldAction : uint8_t { kGet, kSet, kIncrease };

struct FieldStep {
  FieldAction action = FieldAction::kGet;
  BitFieldType type;
  uint64_t offset = 0;
  int64_t value = 0;
  BitOverflow overflow = BitOverflow::kWrap;
};

Result<BitFieldType> ParseFieldType(std::string_view word) {
  const bool is_signed = word.starts_with('i');
  int64_t bits = 0;
  if ((!is_signed && !word.starts_with('u')) || !ParseInt64(word.substr(1), &bits) || bits < 1 ||
      bits > (is_signed ? 64 : 63)) {
    return Status::InvalidArgument(
        "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 "
        "is.");
  }
  return BitFieldType{is_signed, static_cast<int>(bits)};
}

Result<BitOverflow> ParseOverflow(std::string_view word) {
  if (EqualsIgnoreCase(word, "WRAP")) {
    return BitOverflow::kWrap;
  }
  if (EqualsIgnoreCase(word, "SAT")) {
    return BitOverflow::kSaturate;
  }
  if (EqualsIgnoreCase(word, "FAIL")) {
    return BitOverflow::kFail;
  }
  return Status::InvalidArgument("Invalid OVERFLOW type specified");
}

Result<std::vector<FieldStep>> ParseFieldSteps(const CommandContext& ctx) {
  std::vector<FieldStep> steps;
  BitOverflow overflow = BitOverflow::kWrap;
  for (size_t i = 2; i < ctx.argc(); ++i) {
    const size_t behind = ctx.argc() - i - 1;
    if (EqualsIgnoreCase(ctx.arg(i), "OVERFLOW") && behind >= 1) {
      KVS_ASSIGN_OR_RETURN(overflow, ParseOverflow(ctx.arg(++i)));
      continue;
    }
    FieldStep step = {.type = {}, .overflow = overflow};
    if (EqualsIgnoreCase(ctx.arg(i), "SET") && behind >= 3) {
      step.action = FieldAction::kSet;
    } else if (EqualsIgnoreCase(ctx.arg(i), "INCRBY") && behind >= 3) {
      step.action = FieldAction::kIncrease;
    } else if (!EqualsIgnoreCase(ctx.arg(i), "GET") || behind < 2) {
      return SyntaxError();
    }
    KVS_ASSIGN_OR_RETURN(step.type, ParseFieldType(ctx.arg(i + 1)));
    KVS_ASSIGN_OR_RETURN(step.offset, ParseOffset(ctx, ctx.arg(i + 2), step.type.bits));
    i += 2;
    if (step.action != FieldAction::kGet && !ParseInt64(ctx.arg(++i), &step.value)) {
      return NotAnInteger();
    }
    steps.push_back(step);
  }
  return steps;
}

// Returns the bits of a step's field.
BitRange FieldOf(const FieldStep& step) {
  return {step.offset, step.offset + static_cast<uint64_t>(step.type.bits) - 1};
}

// Does one step and adds its reply.
Status RunFieldStep(CommandContext& ctx, const FieldStep& step, StringChange* change) {
  const BitRange field = FieldOf(step);
  KVS_ASSIGN_OR_RETURN(std::string bytes, change->Read(FirstByte(field), ByteCount(field)));
  const uint64_t offset = step.offset % kByteBits;
  const int64_t old = ReadBitField(bytes, offset, step.type);
  if (step.action == FieldAction::kGet) {
    ctx.reply.Integer(old);
    return Status::Ok();
  }
  const bool sets = step.action == FieldAction::kSet;
  const std::optional<int64_t> changed =
      AddToBitField(sets ? step.value : old, sets ? 0 : step.value, step.type, step.overflow);
  if (!changed.has_value()) {
    ctx.reply.Null();
    return Status::Ok();
  }
  WriteBitField(offset, step.type, *changed, &bytes);
  ctx.reply.Integer(sets ? old : *changed);
  return change->Write(FirstByte(field), bytes);
}

Status ReadFields(CommandContext& ctx, const std::vector<FieldStep>& steps) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindString(ctx.arg(1)));
  ctx.CountLookup(entry.key, entry.exists());
  const StringReader string(&keyspace, &entry);
  std::string scratch;
  ctx.reply.Array(steps.size());
  for (const FieldStep& step : steps) {
    const BitRange field = FieldOf(step);
    KVS_ASSIGN_OR_RETURN(const std::string_view bytes,
                         string.Part(FirstByte(field), ByteCount(field), &scratch));
    ctx.reply.Integer(ReadBitField(bytes, step.offset % kByteBits, step.type));
  }
  return Status::Ok();
}

}  // namespace

// BITFIELD key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value |
// INCRBY encoding offset increment> ...]
Status CmdBitField(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const std::vector<FieldStep> steps, ParseFieldSteps(ctx));
  bool writes = false;
  uint64_t last_bit = 0;
  for (const FieldStep& step : steps) {
    if (step.action != FieldAction::kGet) {
      writes = true;
      last_bit = std::max(last_bit, FieldOf(step).last);
    }
  }
  if (!writes) {
    return ReadFields(ctx, steps);
  }
  if (last_bit / kByteBits >= ctx.max_string_size) {
    return Status::TooLarge("string exceeds maximum allowed size (proto-max-bulk-len)");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(StringChange change, StringChange::Open(&keyspace, ctx.arg(1)));
  change.Grow(last_bit / kByteBits + 1);
  ctx.reply.Array(steps.size());
  for (const FieldStep& step : steps) {
    KVS_RETURN_IF_ERROR(RunFieldStep(ctx, step, &change));
  }
  if (change.changed()) {
    change.Save();
    ctx.Notify(KeyEventKind::kString, "setbit", ctx.arg(1));
  }
  return Status::Ok();
}

// BITFIELD_RO key [GET encoding offset [GET encoding offset ...]]
Status CmdBitFieldRo(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const std::vector<FieldStep> steps, ParseFieldSteps(ctx));
  for (const FieldStep& step : steps) {
    if (step.action != FieldAction::kGet) {
      return Status::InvalidArgument("BITFIELD_RO only supports the GET subcommand");
    }
  }
  return ReadFields(ctx, steps);
}

}  // namespace kvs
