#include "common/tracking/tracking_settings.h"

#include <fmt/format.h>

#include <utility>

namespace kvs {
namespace {

bool Overlap(std::string_view a, std::string_view b) {
  return a.starts_with(b) || b.starts_with(a);
}

Status CheckPrefixes(const TrackingSettings::Prefixes& existing,
                     const std::vector<std::string_view>& provided) {
  for (size_t i = 0; i < provided.size(); ++i) {
    for (const std::string& other : existing) {
      if (provided[i] != other && Overlap(provided[i], other)) {
        return Status::InvalidArgument(
            fmt::format("Prefix '{}' overlaps with an existing prefix '{}'. Prefixes for a single "
                        "client must not overlap.",
                        provided[i], other));
      }
    }
    for (size_t k = i + 1; k < provided.size(); ++k) {
      if (provided[i] != provided[k] && Overlap(provided[i], provided[k])) {
        return Status::InvalidArgument(
            fmt::format("Prefix '{}' overlaps with another provided prefix '{}'. Prefixes for a "
                        "single client must not overlap.",
                        provided[i], provided[k]));
      }
    }
  }
  return Status::Ok();
}

}  // namespace

Result<TrackingSettings> TurnTrackingOn(const TrackingSettings& before, TrackingSettings wanted,
                                        const std::vector<std::string_view>& provided) {
  if (!wanted.bcast && !provided.empty()) {
    return Status::InvalidArgument("PREFIX option requires BCAST mode to be enabled");
  }
  if (before.on && before.bcast != wanted.bcast) {
    return Status::InvalidArgument(
        "You can't switch BCAST mode on/off before disabling tracking for this client, and then "
        "re-enabling it with a different mode.");
  }
  if (wanted.bcast && (wanted.opt_in || wanted.opt_out)) {
    return Status::InvalidArgument("OPTIN and OPTOUT are not compatible with BCAST");
  }
  if (wanted.opt_in && wanted.opt_out) {
    return Status::InvalidArgument("You can't specify both OPTIN mode and OPTOUT mode");
  }
  if ((wanted.opt_in && before.on && before.opt_out) ||
      (wanted.opt_out && before.on && before.opt_in)) {
    return Status::InvalidArgument(
        "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
        "re-enabling it with a different mode.");
  }
  if (wanted.bcast) {
    // A limit of ours: each change of a key is held against all of them.
    size_t bytes = 0;
    for (const std::string_view prefix : provided) {
      bytes += prefix.size();
    }
    for (const std::string& prefix : before.prefixes) {
      bytes += prefix.size();
    }
    if (before.prefixes.size() + provided.size() > kMaxTrackingPrefixes ||
        bytes > kMaxTrackingPrefixBytes) {
      return Status::InvalidArgument(
          fmt::format("a client may track {} prefixes of {} bytes together; track shorter or fewer "
                      "prefixes",
                      kMaxTrackingPrefixes, kMaxTrackingPrefixBytes));
    }
    KVS_RETURN_IF_ERROR(CheckPrefixes(before.prefixes, provided));
    wanted.prefixes = before.prefixes;
    wanted.prefixes.insert(provided.begin(), provided.end());
    if (provided.empty()) {
      wanted.prefixes.emplace();  // Every key.
    }
  }
  wanted.on = true;
  wanted.caching = before.caching;
  return wanted;
}

Status SetCaching(bool yes, TrackingSettings* settings) {
  if (yes && !settings->opt_in) {
    return Status::InvalidArgument(
        "CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
  }
  if (!yes && !settings->opt_out) {
    return Status::InvalidArgument(
        "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
  }
  settings->caching = true;
  return Status::Ok();
}

}  // namespace kvs
