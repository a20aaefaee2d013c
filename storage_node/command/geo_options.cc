#include "storage_node/command/geo_options.h"

#include <fmt/format.h>

#include <string>

#include "common/base/strings.h"

namespace kvs {
namespace {

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

// The four families of commands, which share nearly all of their options.
struct Family {
  bool searches = false;    // GEOSEARCH, GEOSEARCHSTORE
  bool may_store = false;   // GEORADIUS, GEORADIUSBYMEMBER
  bool by_member = false;   // GEORADIUSBYMEMBER and its _RO
  size_t first_option = 0;  // The word where they begin.
};

Family FamilyOf(const CommandSpec& spec) {
  if (spec.name.starts_with("geosearch")) {
    return {.searches = true, .first_option = spec.is_write() ? size_t{3} : size_t{2}};
  }
  const bool by_member = spec.name.starts_with("georadiusbymember");
  return {.may_store = spec.is_write(),
          .by_member = by_member,
          .first_option = by_member ? size_t{5} : size_t{6}};
}

Result<double> ParseLength(std::string_view word, std::string_view error) {
  double length = 0;
  if (!ParseDouble(word, &length)) {
    return Status::InvalidArgument(error);
  }
  return length;
}

class QueryParser {
 public:
  QueryParser(const CommandContext& ctx, const ZSet& zset)
      : ctx_(ctx), zset_(zset), family_(FamilyOf(ctx.spec)) {}

  Result<GeoQuery> Parse() {
    if (family_.searches) {
      if (ctx_.spec.is_write()) {
        query_.store_to = ctx_.arg(1);
      }
    } else {
      KVS_RETURN_IF_ERROR(ParseCircle());
    }
    for (next_ = family_.first_option; next_ < ctx_.argc();) {
      KVS_RETURN_IF_ERROR(ParseOption());
    }
    KVS_RETURN_IF_ERROR(Check());
    return query_;
  }

 private:
  // How many words stand behind the one that is read.
  size_t behind() const { return ctx_.argc() - next_ - 1; }
  std::string_view word(size_t i) const { return ctx_.arg(next_ + i); }
  bool Is(std::string_view name) const { return EqualsIgnoreCase(word(0), name); }
  Status Take(size_t words) {
    next_ += words;
    return Status::Ok();
  }

  Status ParseCircle() {
    const size_t radius = family_.first_option - 2;
    if (!family_.by_member) {
      KVS_ASSIGN_OR_RETURN(query_.shape.center, ParseGeoPlace(ctx_.arg(2), ctx_.arg(3)));
    } else if (zset_.exists()) {
      KVS_ASSIGN_OR_RETURN(query_.shape.center, PlaceOfMember(zset_, ctx_.arg(2)));
    } else {
      return Status::Ok();  // Redis does not look at the radius then.
    }
    return ParseRadius(ctx_.arg(radius), ctx_.arg(radius + 1));
  }

  Status ParseRadius(std::string_view length, std::string_view unit) {
    KVS_ASSIGN_OR_RETURN(query_.shape.radius, ParseLength(length, "need numeric radius"));
    if (query_.shape.radius < 0) {
      return Status::InvalidArgument("radius cannot be negative");
    }
    query_.shape.is_box = false;
    KVS_ASSIGN_OR_RETURN(query_.shape.unit_meters, ParseGeoUnit(unit));
    return Status::Ok();
  }

  Status ParseBox() {
    KVS_ASSIGN_OR_RETURN(query_.shape.width, ParseLength(word(1), "need numeric width"));
    KVS_ASSIGN_OR_RETURN(query_.shape.height, ParseLength(word(2), "need numeric height"));
    if (query_.shape.width < 0 || query_.shape.height < 0) {
      return Status::InvalidArgument("height or width cannot be negative");
    }
    query_.shape.is_box = true;
    KVS_ASSIGN_OR_RETURN(query_.shape.unit_meters, ParseGeoUnit(word(3)));
    return Status::Ok();
  }

  Status ParseCount() {
    int64_t count = 0;
    if (!ParseInt64(word(1), &count)) {
      return Status::InvalidArgument("value is not an integer or out of range");
    }
    if (count <= 0) {
      return Status::InvalidArgument("COUNT must be > 0");
    }
    query_.count = static_cast<uint64_t>(count);
    return Take(2);
  }

  Status ParseOption() {
    const auto set = [this](bool* flag) {
      *flag = true;
      return Take(1);
    };
    if (Is("WITHDIST")) {
      return set(&query_.with_distance);
    }
    if (Is("WITHHASH")) {
      return set(&query_.with_score);
    }
    if (Is("WITHCOORD")) {
      return set(&query_.with_place);
    }
    if (Is("ANY")) {
      return set(&query_.any);
    }
    if (Is("ASC") || Is("DESC")) {
      query_.order = Is("ASC") ? GeoOrder::kNearestFirst : GeoOrder::kFarthestFirst;
      return Take(1);
    }
    if (Is("COUNT") && behind() >= 1) {
      return ParseCount();
    }
    return family_.searches ? ParseSearchOption() : ParseStore();
  }

  Status ParseStore() {
    if (!family_.may_store || behind() < 1 || !(Is("STORE") || Is("STOREDIST"))) {
      return SyntaxError();
    }
    query_.stores_distance = Is("STOREDIST");
    query_.store_to = word(1);
    return Take(2);
  }

  Status ParseSearchOption() {
    if (Is("FROMMEMBER") && behind() >= 1 && !from_place_) {
      if (zset_.exists()) {
        KVS_ASSIGN_OR_RETURN(query_.shape.center, PlaceOfMember(zset_, word(1)));
      }
      from_member_ = true;
      return Take(2);
    }
    if (Is("FROMLONLAT") && behind() >= 2 && !from_member_) {
      KVS_ASSIGN_OR_RETURN(query_.shape.center, ParseGeoPlace(word(1), word(2)));
      from_place_ = true;
      return Take(3);
    }
    if (Is("BYRADIUS") && behind() >= 2 && !by_box_) {
      KVS_RETURN_IF_ERROR(ParseRadius(word(1), word(2)));
      by_radius_ = true;
      return Take(3);
    }
    if (Is("BYBOX") && behind() >= 3 && !by_radius_) {
      KVS_RETURN_IF_ERROR(ParseBox());
      by_box_ = true;
      return Take(4);
    }
    if (Is("STOREDIST") && ctx_.spec.is_write()) {
      query_.stores_distance = true;
      return Take(1);
    }
    return SyntaxError();
  }

  Status Check() const {
    if (query_.store_to.has_value() &&
        (query_.with_distance || query_.with_score || query_.with_place)) {
      return Status::InvalidArgument(
          std::string(family_.searches ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS") +
          " is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
    }
    if (family_.searches && !(from_member_ || from_place_)) {
      return Status::InvalidArgument(
          "exactly one of FROMMEMBER or FROMLONLAT can be specified for " +
          std::string(ctx_.arg(0)));
    }
    if (family_.searches && !(by_radius_ || by_box_)) {
      return Status::InvalidArgument("exactly one of BYRADIUS and BYBOX can be specified for " +
                                     std::string(ctx_.arg(0)));
    }
    if (query_.any && query_.count == 0) {
      return Status::InvalidArgument("the ANY argument requires COUNT argument");
    }
    return Status::Ok();
  }

  const CommandContext& ctx_;
  const ZSet& zset_;
  const Family family_;
  GeoQuery query_;
  size_t next_ = 0;
  bool from_member_ = false;
  bool from_place_ = false;
  bool by_radius_ = false;
  bool by_box_ = false;
};

}  // namespace

Result<GeoPlace> ParseGeoPlace(std::string_view longitude, std::string_view latitude) {
  GeoPlace place;
  if (!ParseDouble(longitude, &place.longitude) || !ParseDouble(latitude, &place.latitude)) {
    return Status::InvalidArgument("value is not a valid float");
  }
  if (!IsOnMap(place)) {
    return Status::InvalidArgument(
        fmt::format("invalid longitude,latitude pair {:f},{:f}", place.longitude, place.latitude));
  }
  return place;
}

Result<double> ParseGeoUnit(std::string_view unit) {
  const std::optional<double> meters = MetersOfUnit(unit);
  if (!meters.has_value()) {
    return Status::InvalidArgument("unsupported unit provided. please use M, KM, FT, MI");
  }
  return *meters;
}

Result<GeoPlace> PlaceOfMember(const ZSet& zset, std::string_view member) {
  KVS_ASSIGN_OR_RETURN(const std::optional<double> score, zset.Score(member));
  if (!score.has_value()) {
    return Status::InvalidArgument("could not decode requested zset member");
  }
  return PlaceOfGeoScore(*score);
}

Result<GeoQuery> ParseGeoQuery(const CommandContext& ctx, const ZSet& zset) {
  return QueryParser(ctx, zset).Parse();
}

}  // namespace kvs
