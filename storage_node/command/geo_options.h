// What GEOSEARCH, GEORADIUS and their relatives ask for, read from their words.
//
// Threads: pure functions.
// Owner:   the handler, on its stack.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/status.h"
#include "storage_node/command/command_context.h"
#include "storage_node/types/geo_hash.h"
#include "storage_node/types/zset.h"

namespace kvs {

//   kInvalidArgument: no numbers, or not on the map
Result<GeoPlace> ParseGeoPlace(std::string_view longitude, std::string_view latitude);
//   kInvalidArgument: there is no such unit
Result<double> ParseGeoUnit(std::string_view unit);
// Returns where a member is.
//   kInvalidArgument: there is no such member
Result<GeoPlace> PlaceOfMember(const ZSet& zset, std::string_view member);

enum class GeoOrder : uint8_t { kNone, kNearestFirst, kFarthestFirst };

struct GeoQuery {
  GeoShape shape;
  GeoOrder order = GeoOrder::kNone;
  uint64_t count = 0;  // 0: all.
  bool any = false;    // Of which `count` does not matter.
  bool with_distance = false;
  bool with_score = false;
  bool with_place = false;
  std::optional<std::string_view> store_to = {};
  bool stores_distance = false;
};

// Reads the words of the command in `ctx`; `zset` is what it searches.
//   kInvalidArgument: in Redis's words
Result<GeoQuery> ParseGeoQuery(const CommandContext& ctx, const ZSet& zset);

}  // namespace kvs
