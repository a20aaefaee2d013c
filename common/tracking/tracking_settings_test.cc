#include "common/tracking/tracking_settings.h"

#include "gtest/gtest.h"

namespace kvs {
namespace {

std::string ErrorOf(const TrackingSettings& before, const TrackingSettings& wanted,
                    const std::vector<std::string_view>& prefixes = {}) {
  const Result<TrackingSettings> settings = TurnTrackingOn(before, wanted, prefixes);
  return settings.ok() ? "" : std::string(settings.status().message()).substr(0, 40);
}

TEST(TrackingSettingsTest, RefusesWhatContradictsItself) {
  EXPECT_EQ(ErrorOf({}, {.opt_in = true, .opt_out = true}),
            "You can't specify both OPTIN mode and OP");
  EXPECT_EQ(ErrorOf({}, {}, {"a"}), "PREFIX option requires BCAST mode to be ");
  EXPECT_EQ(ErrorOf({}, {.bcast = true, .opt_in = true}),
            "OPTIN and OPTOUT are not compatible with");
  EXPECT_EQ(ErrorOf({.on = true}, {.bcast = true}), "You can't switch BCAST mode on/off befor");
  EXPECT_EQ(ErrorOf({.on = true, .opt_in = true}, {.opt_out = true}),
            "You can't switch OPTIN/OPTOUT mode befor");
  EXPECT_EQ(ErrorOf({.on = true, .opt_in = true}, {}), "");
}

TEST(TrackingSettingsTest, GathersPrefixesThatDoNotOverlap) {
  const Result<TrackingSettings> first = TurnTrackingOn({}, {.bcast = true}, {"u:", "v:", "u:"});
  ASSERT_TRUE(first.ok());
  const Result<TrackingSettings> second = TurnTrackingOn(*first, {.bcast = true}, {"w:"});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->prefixes, (TrackingSettings::Prefixes{"u:", "v:", "w:"}));
  EXPECT_EQ(ErrorOf(*second, {.bcast = true}, {"u:x"}), "Prefix 'u:x' overlaps with an existing p");
  EXPECT_EQ(ErrorOf({}, {.bcast = true}, {"ab", "a"}), "Prefix 'ab' overlaps with another provid");
  const Result<TrackingSettings> all = TurnTrackingOn({}, {.bcast = true}, {});
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->prefixes, TrackingSettings::Prefixes{""});
}

TEST(TrackingSettingsTest, BoundsThePrefixes) {
  std::vector<std::string> names;
  for (size_t i = 0; i <= kMaxTrackingPrefixes; ++i) {
    names.push_back("prefix:" + std::to_string(i) + ":");
  }
  const std::vector<std::string_view> prefixes(names.begin(), names.end());
  EXPECT_EQ(ErrorOf({}, {.bcast = true}, prefixes), "a client may track 1024 prefixes of 1048");
  EXPECT_EQ(ErrorOf({}, {.bcast = true}, {std::string(kMaxTrackingPrefixBytes + 1, 'x')}),
            "a client may track 1024 prefixes of 1048");
}

TEST(TrackingSettingsTest, CachingChoosesTheNextCommand) {
  TrackingSettings opt_in{.on = true, .opt_in = true};
  EXPECT_FALSE(opt_in.TracksReads());
  EXPECT_FALSE(SetCaching(false, &opt_in).ok());
  ASSERT_TRUE(SetCaching(true, &opt_in).ok());
  EXPECT_TRUE(opt_in.TracksReads());

  TrackingSettings opt_out{.on = true, .opt_out = true};
  EXPECT_TRUE(opt_out.TracksReads());
  EXPECT_FALSE(SetCaching(true, &opt_out).ok());
  ASSERT_TRUE(SetCaching(false, &opt_out).ok());
  EXPECT_FALSE(opt_out.TracksReads());

  EXPECT_TRUE(TrackingSettings{.on = true}.TracksReads());
  EXPECT_FALSE((TrackingSettings{.on = true, .bcast = true}).TracksReads());
}

}  // namespace
}  // namespace kvs
