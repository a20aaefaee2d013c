// Whatever decodes must give the same operations when built again, and whatever does not must leave
// the input alone.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "storage_node/binlog/binlog_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string_view input = bytes;
  std::string scratch;
  const kvs::Result<kvs::BinlogRecord> record = kvs::DecodeBinlogRecord(&input, &scratch);
  if (!record.ok()) {
    KVS_CHECK(input.data() == bytes.data() && input.size() == bytes.size());
    return 0;
  }
  kvs::BinlogBatch batch;
  kvs::BinlogOp op;
  for (kvs::BinlogOpIterator it = record->iterator(); it.Next(&op);) {
    if (op.type == kvs::BinlogOpType::kPut) {
      batch.Put(op.slot, op.key, op.value);
    } else {
      batch.Delete(op.slot, op.key);
    }
  }
  KVS_CHECK(batch.op_count() == record->op_count);
  KVS_CHECK(batch.ops() == record->ops);
  return 0;
}
