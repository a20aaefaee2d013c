// GEOADD, GEODIST, GEOHASH, GEOPOS and the searches: sorted sets whose scores are places.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/geo_options.h"
#include "storage_node/command/zset_reply.h"
#include "storage_node/types/zset_store.h"

namespace kvs {
namespace {

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

struct GeoPoint {
  std::string member;
  double score = 0;
  GeoPlace place;
  double distance = 0;  // Meters from the center.
};

void ReplyDistance(CommandContext& ctx, double distance) {
  ctx.reply.Bulk(fmt::format("{:.4f}", distance));
}

// A number with up to 17 decimals, in RESP3 as such.
void ReplyCoordinate(CommandContext& ctx, double coordinate) {
  const std::string text = FormatLongDouble(coordinate);
  if (ctx.reply.protocol() == 2) {
    ctx.reply.Bulk(text);
  } else {
    ctx.reply.Raw("," + text + "\r\n");
  }
}

void ReplyPlace(CommandContext& ctx, const GeoPlace& place) {
  ctx.reply.Array(2);
  ReplyCoordinate(ctx, place.longitude);
  ReplyCoordinate(ctx, place.latitude);
}

// Adds the members of a cell that lie within the shape, until there are `limit`.
Status SearchCell(const ZSet& zset, const GeoCell& cell, const GeoShape& shape, uint64_t limit,
                  std::vector<GeoPoint>* points) {
  const std::string lower = kZSetOrderTag + EncodeScoreOrder(static_cast<double>(cell.first));
  const std::string upper = kZSetOrderTag + EncodeScoreOrder(static_cast<double>(cell.end));
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, zset.elements().WalkRange(lower, upper));
  for (; walk.Valid() && points->size() < limit; walk.Next()) {
    if (walk.name().size() < kZSetNamePrefix) {
      return Status::Corruption("an element of a sorted set has no score");
    }
    const double score = ScoreOfName(walk.name());
    const GeoPlace place = PlaceOfGeoScore(score);
    if (const std::optional<double> distance = DistanceWithin(shape, place)) {
      points->push_back({std::string(MemberOfName(walk.name())), score, place, *distance});
    }
  }
  return walk.status();
}

void Sort(GeoOrder order, std::vector<GeoPoint>* points) {
  std::stable_sort(points->begin(), points->end(), [order](const GeoPoint& a, const GeoPoint& b) {
    return order == GeoOrder::kNearestFirst ? a.distance < b.distance : a.distance > b.distance;
  });
}

Result<std::vector<GeoPoint>> Search(const ZSet& zset, const GeoQuery& query) {
  std::vector<GeoPoint> points;
  const uint64_t limit = query.any ? query.count : UINT64_MAX;
  for (const GeoCell& cell : CellsOf(query.shape)) {
    if (points.size() >= limit) {
      break;
    }
    KVS_RETURN_IF_ERROR(SearchCell(zset, cell, query.shape, limit, &points));
  }
  // A number of places without an order are the nearest ones.
  const bool nearest = query.order == GeoOrder::kNone && query.count > 0 && !query.any;
  if (query.order != GeoOrder::kNone || nearest) {
    Sort(nearest ? GeoOrder::kNearestFirst : query.order, &points);
  }
  if (query.count > 0 && points.size() > query.count) {
    points.resize(query.count);
  }
  return points;
}

void ReplyPoints(CommandContext& ctx, const GeoQuery& query, const std::vector<GeoPoint>& points) {
  const size_t options = (query.with_distance ? size_t{1} : 0) + (query.with_score ? 1 : 0) +
                         (query.with_place ? 1 : 0);
  ctx.reply.Array(points.size());
  for (const GeoPoint& point : points) {
    if (options > 0) {
      ctx.reply.Array(1 + options);
    }
    ctx.reply.Bulk(point.member);
    if (query.with_distance) {
      ReplyDistance(ctx, point.distance / query.shape.unit_meters);
    }
    if (query.with_score) {
      ctx.reply.Integer(static_cast<int64_t>(point.score));
    }
    if (query.with_place) {
      ReplyPlace(ctx, point.place);
    }
  }
}

Status StorePoints(CommandContext& ctx, const GeoQuery& query, std::vector<GeoPoint> points) {
  std::vector<ScoredMember> members;
  members.reserve(points.size());
  for (GeoPoint& point : points) {
    members.push_back({std::move(point.member), query.stores_distance
                                                    ? point.distance / query.shape.unit_meters
                                                    : point.score});
  }
  const size_t count = members.size();
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_RETURN_IF_ERROR(
      ZSetStore(&keyspace, ctx.type_limits).Replace(*query.store_to, std::move(members)));
  ctx.NotifyStored(KeyEventKind::kZSet,
                   ctx.spec.name.starts_with("geosearch") ? "geosearchstore" : "georadiusstore",
                   *query.store_to, count > 0);
  ctx.reply.Integer(static_cast<int64_t>(count));
  return Status::Ok();
}

// All searches; the set is under args[key_index].
Status SearchAndReply(CommandContext& ctx, size_t key_index) {
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(key_index)));
  KVS_ASSIGN_OR_RETURN(const GeoQuery query, ParseGeoQuery(ctx, zset));
  std::vector<GeoPoint> points;
  if (zset.exists()) {
    KVS_ASSIGN_OR_RETURN(points, Search(zset, query));
  }
  if (query.store_to.has_value()) {
    return StorePoints(ctx, query, std::move(points));
  }
  ReplyPoints(ctx, query, points);
  return Status::Ok();
}

}  // namespace

// GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]
Status CmdGeoAdd(CommandContext& ctx) {
  ZAddRules rules;
  bool changed = false;
  size_t next = 2;
  for (; next < ctx.argc(); ++next) {
    if (EqualsIgnoreCase(ctx.arg(next), "NX")) {
      rules.only_new = true;
    } else if (EqualsIgnoreCase(ctx.arg(next), "XX")) {
      rules.only_existing = true;
    } else if (EqualsIgnoreCase(ctx.arg(next), "CH")) {
      changed = true;
    } else {
      break;
    }
  }
  const auto words = ctx.args.subspan(next);
  if (words.empty() || words.size() % 3 != 0 || (rules.only_new && rules.only_existing)) {
    return SyntaxError();
  }
  std::vector<ScoredName> members;
  for (size_t i = 0; i < words.size(); i += 3) {
    KVS_ASSIGN_OR_RETURN(const GeoPlace place, ParseGeoPlace(words[i], words[i + 1]));
    members.push_back({GeoScore(place), words[i + 2]});
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const ZAddCount count,
                       ZSetStore(&keyspace, ctx.type_limits).Add(ctx.arg(1), rules, members));
  if (count.added + count.updated > 0) {
    ctx.Notify(KeyEventKind::kZSet, "zadd", ctx.arg(1));
  }
  ctx.reply.Integer(count.added + (changed ? count.updated : 0));
  return Status::Ok();
}

// GEODIST key member1 member2 [M | KM | FT | MI]
Status CmdGeoDist(CommandContext& ctx) {
  if (ctx.argc() > 5) {
    return SyntaxError();
  }
  double unit = 1;
  if (ctx.argc() == 5) {
    KVS_ASSIGN_OR_RETURN(unit, ParseGeoUnit(ctx.arg(4)));
  }
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(const std::optional<double> from, zset.Score(ctx.arg(2)));
  KVS_ASSIGN_OR_RETURN(const std::optional<double> to, zset.Score(ctx.arg(3)));
  if (!from.has_value() || !to.has_value()) {
    ctx.reply.Null();
    return Status::Ok();
  }
  ReplyDistance(ctx, GeoDistance(PlaceOfGeoScore(*from), PlaceOfGeoScore(*to)) / unit);
  return Status::Ok();
}

// GEOHASH key [member [member ...]]
Status CmdGeoHash(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  ctx.reply.Array(ctx.argc() - 2);
  for (const std::string_view member : ctx.args.subspan(2)) {
    KVS_ASSIGN_OR_RETURN(const std::optional<double> score, zset.Score(member));
    if (score.has_value()) {
      ctx.reply.Bulk(GeoHashText(PlaceOfGeoScore(*score)));
    } else {
      ctx.reply.Null();
    }
  }
  return Status::Ok();
}

// GEOPOS key [member [member ...]]
Status CmdGeoPos(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  ctx.reply.Array(ctx.argc() - 2);
  for (const std::string_view member : ctx.args.subspan(2)) {
    KVS_ASSIGN_OR_RETURN(const std::optional<double> score, zset.Score(member));
    if (score.has_value()) {
      ReplyPlace(ctx, PlaceOfGeoScore(*score));
    } else {
      ctx.reply.NullArray();
    }
  }
  return Status::Ok();
}

// GEORADIUS key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH]
// [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]
Status CmdGeoRadius(CommandContext& ctx) {
  return SearchAndReply(ctx, 1);
}

// GEORADIUS_RO key longitude latitude radius <M | KM | FT | MI> ...
Status CmdGeoRadiusRo(CommandContext& ctx) {
  return SearchAndReply(ctx, 1);
}

// GEORADIUSBYMEMBER key member radius <M | KM | FT | MI> ...
Status CmdGeoRadiusByMember(CommandContext& ctx) {
  return SearchAndReply(ctx, 1);
}

// GEORADIUSBYMEMBER_RO key member radius <M | KM | FT | MI> ...
Status CmdGeoRadiusByMemberRo(CommandContext& ctx) {
  return SearchAndReply(ctx, 1);
}

// GEOSEARCH key <FROMMEMBER member | FROMLONLAT longitude latitude>
// <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC]
// [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
Status CmdGeoSearch(CommandContext& ctx) {
  return SearchAndReply(ctx, 1);
}

// GEOSEARCHSTORE destination source ... [STOREDIST]
Status CmdGeoSearchStore(CommandContext& ctx) {
  return SearchAndReply(ctx, 2);
}

}  // namespace kvs
