#include "common/service/info.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "common/base/file.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

bool Wanted(const InfoSection& section, std::span<const std::string_view> wanted) {
  if (wanted.empty()) {
    return section.in_default();
  }
  return std::any_of(wanted.begin(), wanted.end(), [&section](std::string_view name) {
    return EqualsIgnoreCase(name, section.name()) || EqualsIgnoreCase(name, "all") ||
           EqualsIgnoreCase(name, "everything") ||
           (EqualsIgnoreCase(name, "default") && section.in_default());
  });
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

InfoSection& InfoSection::Add(std::string_view field, std::string_view value) {
  body_ += fmt::format("{}:{}\r\n", field, value);
  return *this;
}

InfoSection& InfoSection::Add(std::string_view field, int64_t value) {
  body_ += fmt::format("{}:{}\r\n", field, value);
  return *this;
}

InfoSection& InfoSection::AddFixed(std::string_view field, double value) {
  body_ += fmt::format("{}:{:.2f}\r\n", field, value);
  return *this;
}

std::string FormatInfo(const std::vector<InfoSection>& sections,
                       std::span<const std::string_view> wanted) {
  std::string text;
  for (const InfoSection& section : sections) {
    if (Wanted(section, wanted)) {
      text += text.empty() ? "" : "\r\n";
      text += fmt::format("# {}\r\n{}", section.name(), section.body());
    }
  }
  return text;
}

ProcessMemory ReadProcessMemory() {
  uint64_t rss = 0;
  const Result<std::string> statm = ReadFile("/proc/self/statm");
  if (statm.ok()) {
    const std::vector<std::string_view> words = Split(*statm, ' ');
    if (words.size() > 1 && ParseUint64(words[1], &rss)) {
      rss *= static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    }
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {.resident = rss, .peak = static_cast<uint64_t>(usage.ru_maxrss) * 1024};
}

std::string HumanBytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "K", "M", "G", "T"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f}B", bytes) : fmt::format("{:.2f}{}", bytes, kUnits[unit]);
}

void AddProcessCpu(InfoSection* section) {
  rusage self{};
  rusage children{};
  ::getrusage(RUSAGE_SELF, &self);
  ::getrusage(RUSAGE_CHILDREN, &children);
  section->Add("used_cpu_sys", fmt::format("{:.6f}", Seconds(self.ru_stime)))
      .Add("used_cpu_user", fmt::format("{:.6f}", Seconds(self.ru_utime)))
      .Add("used_cpu_sys_children", fmt::format("{:.6f}", Seconds(children.ru_stime)))
      .Add("used_cpu_user_children", fmt::format("{:.6f}", Seconds(children.ru_utime)));
}

}  // namespace kvs
