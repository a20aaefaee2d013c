#include "storage_node/types/geo_hash.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

constexpr GeoPlace kPalermo = {13.361389, 38.115556};
constexpr GeoPlace kCatania = {15.087269, 37.502669};

GeoPlace SomePlace(Random* random) {
  return {(random->NextDouble() * 2 - 1) * kMaxLongitude,
          (random->NextDouble() * 2 - 1) * kMaxLatitude};
}

// The values of Redis's documentation.
TEST(GeoHashTest, PlacesAreRediss) {
  EXPECT_EQ(GeoScore(kPalermo), 3479099956230698.0);
  EXPECT_EQ(GeoScore(kCatania), 3479447370796909.0);
  EXPECT_EQ(GeoHashText(PlaceOfGeoScore(3479099956230698)), "sqc8b49rny0");
  EXPECT_EQ(GeoHashText(PlaceOfGeoScore(3479447370796909)), "sqdtr74hyu0");
  const double distance =
      GeoDistance(PlaceOfGeoScore(GeoScore(kPalermo)), PlaceOfGeoScore(GeoScore(kCatania)));
  EXPECT_NEAR(distance, 166274.1516, 0.0001);
}

TEST(GeoHashTest, ASmallCellIsAllThatAScoreForgets) {
  Random random(11);
  for (int i = 0; i < 10'000; ++i) {
    const GeoPlace place = SomePlace(&random);
    const double score = GeoScore(place);
    const GeoPlace decoded = PlaceOfGeoScore(score);
    EXPECT_LT(GeoDistance(place, decoded), 1);
    EXPECT_EQ(GeoScore(decoded), score);
  }
}

TEST(GeoHashTest, ScoresThatAreNoPlacesHaveOne) {
  for (const double score : {-1.0, -1e300, 1e300, 0.5, 1e18, std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    EXPECT_TRUE(IsOnMap(PlaceOfGeoScore(score))) << score;
  }
  EXPECT_FALSE(IsOnMap({180.1, 0}));
  EXPECT_FALSE(IsOnMap({0, 85.1}));
  EXPECT_FALSE(IsOnMap({std::nan(""), 0}));
}

TEST(GeoHashTest, UnitsHaveTheirMeters) {
  EXPECT_EQ(MetersOfUnit("m"), 1);
  EXPECT_EQ(MetersOfUnit("KM"), 1000);
  EXPECT_EQ(MetersOfUnit("ft"), 0.3048);
  EXPECT_EQ(MetersOfUnit("mi"), 1609.34);
  EXPECT_FALSE(MetersOfUnit("").has_value());
  EXPECT_FALSE(MetersOfUnit("k").has_value());
}

// Away from the poles and the date line, where Redis's cells have holes.
TEST(GeoHashTest, TheCellsOfAShapeHoldAllThatIsWithinIt) {
  Random random(13);
  int within = 0;
  for (int i = 0; i < 20'000; ++i) {
    GeoShape shape;
    shape.center = {(random.NextDouble() * 2 - 1) * 150, (random.NextDouble() * 2 - 1) * 60};
    shape.is_box = random.OneIn(2);
    shape.unit_meters = 1000;
    shape.radius = std::pow(10, random.NextDouble() * 5 - 2);
    shape.width = shape.radius * 2 * random.NextDouble();
    shape.height = shape.radius * 2 * random.NextDouble();
    if (shape.radius > 500) {
      continue;
    }
    const double degrees = shape.radius / 60;
    const GeoPlace near = {shape.center.longitude + (random.NextDouble() - 0.5) * degrees,
                           shape.center.latitude + (random.NextDouble() - 0.5) * degrees};
    const double score = GeoScore(near);
    if (!DistanceWithin(shape, PlaceOfGeoScore(score)).has_value()) {
      continue;
    }
    ++within;
    const std::vector<GeoCell> cells = CellsOf(shape);
    const auto number = static_cast<uint64_t>(score);
    EXPECT_LE(cells.size(), 9U);
    EXPECT_EQ(std::count_if(cells.begin(), cells.end(),
                            [number](const GeoCell& cell) {
                              return cell.first <= number && number < cell.end;
                            }),
              1);
  }
  EXPECT_GT(within, 1000);
}

}  // namespace
}  // namespace kvs
