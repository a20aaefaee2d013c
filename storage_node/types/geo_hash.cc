#include "storage_node/types/geo_hash.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr int kScoreStep = 26;
constexpr double kEarthRadius = 6372797.560856;  // Meters.
constexpr double kMercatorMax = 20037726.37;
constexpr double kRadians = std::numbers::pi / 180.0;
// Letters of a geohash: digits, and no a, i, l and o.
constexpr std::string_view kLetters = "0123456789bcdefghjkmnpqrstuvwxyz";

double ToRadians(double degrees) {
  return degrees * kRadians;
}
double ToDegrees(double radians) {
  return radians / kRadians;
}

struct Range {
  double min;
  double max;
};
constexpr Range kLongitudes = {-kMaxLongitude, kMaxLongitude};
constexpr Range kLatitudes = {-kMaxLatitude, kMaxLatitude};

// A cell of a map of 2^step by 2^step.
struct Cell {
  uint32_t latitude;
  uint32_t longitude;
  int step;
  bool operator==(const Cell&) const = default;
};

struct Area {
  Range longitude;
  Range latitude;
};

// Puts a zero between each two bits.
uint64_t Spread(uint32_t bits) {
  constexpr std::array<uint64_t, 5> kMasks = {0x0000ffff0000ffff, 0x00ff00ff00ff00ff,
                                              0x0f0f0f0f0f0f0f0f, 0x3333333333333333,
                                              0x5555555555555555};
  uint64_t spread = bits;
  int shift = 16;
  for (const uint64_t mask : kMasks) {
    spread = (spread | spread << shift) & mask;
    shift /= 2;
  }
  return spread;
}

// Takes every other bit, from the lowest on.
uint32_t Gather(uint64_t spread) {
  uint32_t bits = 0;
  for (int i = 0; i < 32; ++i) {
    bits |= static_cast<uint32_t>(spread >> (2 * i) & 1) << i;
  }
  return bits;
}

uint64_t NumberOf(const Cell& cell) {
  return Spread(cell.latitude) | Spread(cell.longitude) << 1;
}

uint32_t Index(double coordinate, const Range& range, int step) {
  const double offset = (coordinate - range.min) / (range.max - range.min);
  return static_cast<uint32_t>(offset * static_cast<double>(uint64_t{1} << step));
}

Cell CellAt(const GeoPlace& place, const Range& latitudes, int step) {
  return {Index(place.latitude, latitudes, step), Index(place.longitude, kLongitudes, step), step};
}

Range CellRange(uint32_t index, const Range& range, int step) {
  const double scale = range.max - range.min;
  const auto cells = static_cast<double>(uint64_t{1} << step);
  return {range.min + (index * 1.0 / cells) * scale,
          range.min + ((static_cast<double>(index) + 1) * 1.0 / cells) * scale};
}

Area AreaOf(const Cell& cell) {
  return {CellRange(cell.longitude, kLongitudes, cell.step),
          CellRange(cell.latitude, kLatitudes, cell.step)};
}

// The map is round, so this never leaves it.
Cell Moved(const Cell& cell, int east, int north) {
  const uint32_t mask = (uint32_t{1} << cell.step) - 1;
  Cell moved = cell;
  if (east != 0) {
    moved.longitude = (cell.longitude + static_cast<uint32_t>(east)) & mask;
  }
  if (north != 0) {
    moved.latitude = (cell.latitude + static_cast<uint32_t>(north)) & mask;
  }
  return moved;
}

double MiddleOf(const Range& range, double limit) {
  return std::clamp((range.min + range.max) / 2, -limit, limit);
}

double LatitudeDistance(double a, double b) {
  return kEarthRadius * std::fabs(ToRadians(b) - ToRadians(a));
}

// The area that a shape lies in, its sides seen as straight.
Area BoundsOf(const GeoShape& shape) {
  const double height = shape.unit_meters * (shape.is_box ? shape.height / 2 : shape.radius);
  const double width = shape.unit_meters * (shape.is_box ? shape.width / 2 : shape.radius);
  const GeoPlace& center = shape.center;
  const double north = ToDegrees(height / kEarthRadius);
  // Where meridians are closest, which is away from the equator.
  const double edge = center.latitude < 0 ? center.latitude - north : center.latitude + north;
  const double east = ToDegrees(width / kEarthRadius / std::cos(ToRadians(edge)));
  return {{center.longitude - east, center.longitude + east},
          {center.latitude - north, center.latitude + north}};
}

// The step at which a cell and its neighbours are sure to cover so many meters around a place, but
// for the edges of maps.
int StepFor(double meters, double latitude) {
  if (meters == 0) {
    return kScoreStep;
  }
  int step = 1;
  for (; meters < kMercatorMax; meters *= 2) {
    ++step;
  }
  step -= 2;
  // Cells are narrow near the poles.
  const double distance = std::fabs(latitude);
  step -= distance > 80 ? 2 : distance > 66 ? 1 : 0;
  return std::clamp(step, 1, kScoreStep);
}

// Of bounds that are no numbers, since the circle has no end, all is covered.
bool NeighboursCover(const Cell& cell, const Area& bounds) {
  return !(AreaOf(Moved(cell, 0, 1)).latitude.max < bounds.latitude.max ||
           AreaOf(Moved(cell, 0, -1)).latitude.min > bounds.latitude.min ||
           AreaOf(Moved(cell, 1, 0)).longitude.max < bounds.longitude.max ||
           AreaOf(Moved(cell, -1, 0)).longitude.min > bounds.longitude.min);
}

struct Direction {
  int east;
  int north;
};
constexpr Direction kDirections[] = {{0, 0}, {0, 1},  {0, -1}, {1, 0},  {-1, 0},
                                     {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};

// Whether a neighbour has nothing of the bounds because the middle cell reaches beyond them.
bool IsUseless(const Direction& direction, const Area& middle, const Area& bounds) {
  return (direction.north < 0 && middle.latitude.min < bounds.latitude.min) ||
         (direction.north > 0 && middle.latitude.max > bounds.latitude.max) ||
         (direction.east < 0 && middle.longitude.min < bounds.longitude.min) ||
         (direction.east > 0 && middle.longitude.max > bounds.longitude.max);
}

}  // namespace

bool IsOnMap(const GeoPlace& place) {
  return place.longitude >= kLongitudes.min && place.longitude <= kLongitudes.max &&
         place.latitude >= kLatitudes.min && place.latitude <= kLatitudes.max;
}

double GeoScore(const GeoPlace& place) {
  return static_cast<double>(NumberOf(CellAt(place, kLatitudes, kScoreStep)));
}

GeoPlace PlaceOfGeoScore(double score) {
  constexpr double kLimit = 9.2e18;  // Of what a conversion is defined for.
  const bool fits = score > -kLimit && score < kLimit;
  const uint64_t number =
      fits ? static_cast<uint64_t>(static_cast<int64_t>(score)) : uint64_t{1} << 63;
  const Area area = AreaOf({Gather(number), Gather(number >> 1), kScoreStep});
  return {MiddleOf(area.longitude, kMaxLongitude), MiddleOf(area.latitude, kMaxLatitude)};
}

std::string GeoHashText(const GeoPlace& place) {
  // The world's maps have other latitudes than the web's.
  constexpr Range kAllLatitudes = {-90, 90};
  constexpr int kLetterBits = 5;
  constexpr int kFullLetters = 10;
  const uint64_t number = NumberOf(CellAt(place, kAllLatitudes, kScoreStep));
  std::string text;
  for (int i = 1; i <= kFullLetters; ++i) {
    text.push_back(kLetters[number >> (2 * kScoreStep - i * kLetterBits) & 31]);
  }
  return text + kLetters[0];  // Two bits are left, which Redis does not show.
}

double GeoDistance(const GeoPlace& a, const GeoPlace& b) {
  const double v = std::sin((ToRadians(b.longitude) - ToRadians(a.longitude)) / 2);
  if (v == 0) {
    return LatitudeDistance(a.latitude, b.latitude);
  }
  const double from = ToRadians(a.latitude);
  const double to = ToRadians(b.latitude);
  const double u = std::sin((to - from) / 2);
  return 2.0 * kEarthRadius * std::asin(std::sqrt(u * u + std::cos(from) * std::cos(to) * v * v));
}

std::optional<double> MetersOfUnit(std::string_view unit) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
  for (const auto& [name, meters] : kUnits) {
    if (EqualsIgnoreCase(unit, name)) {
      return meters;
    }
  }
  return std::nullopt;
}

std::optional<double> DistanceWithin(const GeoShape& shape, const GeoPlace& place) {
  const GeoPlace& center = shape.center;
  if (shape.is_box) {
    if (LatitudeDistance(place.latitude, center.latitude) > shape.height * shape.unit_meters / 2 ||
        GeoDistance(place, {center.longitude, place.latitude}) >
            shape.width * shape.unit_meters / 2) {
      return std::nullopt;
    }
    return GeoDistance(center, place);
  }
  const double distance = GeoDistance(center, place);
  return distance > shape.radius * shape.unit_meters ? std::nullopt : std::optional(distance);
}

std::vector<GeoCell> CellsOf(const GeoShape& shape) {
  const Area bounds = BoundsOf(shape);
  const double half_width = shape.width / 2;
  const double half_height = shape.height / 2;
  const double reach =
      shape.is_box ? std::sqrt(half_width * half_width + half_height * half_height) : shape.radius;
  int step = StepFor(reach * shape.unit_meters, shape.center.latitude);
  Cell middle = CellAt(shape.center, kLatitudes, step);
  if (step > 1 && !NeighboursCover(middle, bounds)) {
    middle = CellAt(shape.center, kLatitudes, --step);
  }
  const Area area = AreaOf(middle);
  std::vector<GeoCell> cells;
  Cell last = middle;
  for (const Direction& direction : kDirections) {
    const Cell cell = Moved(middle, direction.east, direction.north);
    if (step >= 2 && IsUseless(direction, area, bounds)) {
      continue;
    }
    // Neighbours on both sides are the same cell of a map of few, and are searched once.
    if (!cells.empty() && cells.size() > 1 && cell == last) {
      continue;
    }
    last = cell;
    const int shift = 2 * (kScoreStep - step);
    cells.push_back({NumberOf(cell) << shift, (NumberOf(cell) + 1) << shift});
  }
  return cells;
}

}  // namespace kvs
