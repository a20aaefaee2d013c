// GeoHash: places on the earth as numbers whose order keeps near ones together, by Redis's rules.
//
// A coordinate becomes an integer of `step` bits, and the bits of latitude and longitude take
// turns: so a number stands for a cell of the map, and its first bits for a larger cell around it.
// The score of a member of a geo set is such a number of 52 bits, which a double holds exactly.
//
// What is computed here decides bytes of replies, down to the order in which an area's cells are
// searched: the operations are those of Redis, one by one.
//
// Threads: pure functions, no state.
// Owner:   the caller.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvs {

struct GeoPlace {
  double longitude = 0;
  double latitude = 0;
};

inline constexpr double kMaxLongitude = 180;
inline constexpr double kMaxLatitude = 85.05112878;  // Of the web's Mercator maps.

bool IsOnMap(const GeoPlace& place);

// REQUIRES: IsOnMap(place)
double GeoScore(const GeoPlace& place);
// Returns the middle of the cell; of a number that is no such score, some place.
GeoPlace PlaceOfGeoScore(double score);

// Returns the 11 letters that other programs know a place by.
std::string GeoHashText(const GeoPlace& place);

// Returns the meters between two places along a great circle.
double GeoDistance(const GeoPlace& a, const GeoPlace& b);

// Returns how many meters the unit has; nothing: there is no such unit.
std::optional<double> MetersOfUnit(std::string_view unit);

// A circle, or a box along the meridians.
struct GeoShape {
  GeoPlace center;
  bool is_box = false;
  double unit_meters = 1;  // Of the following.
  double radius = 0;
  double width = 0;
  double height = 0;
};

// Returns the meters from the center if the place is within the shape.
std::optional<double> DistanceWithin(const GeoShape& shape, const GeoPlace& place);

// Scores of one cell: from `first` on, and before `end`.
struct GeoCell {
  uint64_t first = 0;
  uint64_t end = 0;
};

// Returns cells that cover the shape, in the order in which they are searched, none twice in a row.
std::vector<GeoCell> CellsOf(const GeoShape& shape);

}  // namespace kvs
